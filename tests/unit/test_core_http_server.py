"""HTTP of the gateway over real sockets, with a store in memory."""

import asyncio
import json
import socket
import threading
import time

import pytest
from health_connector.lib.committer import Committer
from health_connector.lib.http_server import Doors, HttpPart, Limits
from health_connector.lib.memory_store import MemoryStore
from health_connector.lib.peek import peek_json


class Ring:
    def blind(self, scope, text):
        return f"{scope}:{text}"


SETTINGS = {
    "id": 1, "backend_id": 2, "company_id": 3, "priority": 5, "codec": "json",
    "state": "live", "open": True, "max_size": 5000, "message_types": "",
    "urgent_source": "", "urgent_values": "",
    "order_key_source": "", "dedupe_source": "id", "charset": "",
    "environment": "test", "route_table": None, "digests": ["secret:bearer:key"],
}  # fmt: skip


class Gateway:
    """The HTTP part on a loop in a thread of its own."""

    def __init__(self, limits=None, **settings):
        self.store = MemoryStore()
        self.part = HttpPart({"json": peek_json}, {}, 0, limits=limits)
        self.doors = Doors(Ring(), {"results": {**SETTINGS, **settings}})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *exc):
        self.store.gate.set()
        self.store.flush_gate.set()
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _start(self):
        self._committer = Committer(self.store, asyncio.get_running_loop())
        await self.part.start(self._committer)
        self._committer.start()
        await self.part.publish(self.doors)

    async def _stop(self):
        await self.part.stop()
        await self._committer.stop()


class Client:
    """A blocking HTTP client that sends and shows bytes."""

    def __init__(self, gateway, timeout=5.0):
        self.socket = socket.create_connection(
            ("127.0.0.1", gateway.part.port), timeout
        )
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def head(self, length, *extra, key="key", path="/health/in/results"):
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
        lines += [f"Authorization: Bearer {key}", *extra, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def post(self, body, *extra, **where):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.head(len(raw), *extra, **where)
        self.socket.sendall(raw)
        return self.answer()

    def answer(self):
        """(status, headers, body as JSON) of the next answer; None at the end."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _end, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            assert self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(first.split()[1]), headers, json.loads(body) if body else None

    def _more(self):
        data = self.socket.recv(65536)
        self._buffer += data
        return data

    def hears_nothing(self, seconds=0.3):
        timeout = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            return self.answer() is None and False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(timeout)


@pytest.fixture
def gateway():
    with Gateway() as running:
        yield running


@pytest.fixture
def client(gateway):
    with Client(gateway) as connected:
        yield connected


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- store and answer -----------------------------------------------------------------


def test_stored_and_accepted(gateway, client):
    status, headers, body = client.post({"id": "m1"})
    assert (status, body["status"], body["id"]) == (202, "accepted", 1)
    assert headers["content-type"] == "application/json; charset=utf-8"
    [unit] = gateway.store.units
    assert (unit.raw, unit.dedupe_key) == (b'{"id": "m1"}', "m1")


def test_no_answer_before_the_flush(gateway, client):
    gateway.store.flush_gate.clear()
    client.head(12)
    client.socket.sendall(b'{"id": "m1"}')
    wait_for(lambda: gateway.store.units)
    assert client.hears_nothing()
    gateway.store.flush_gate.set()
    assert client.answer()[0] == 202


def test_a_duplicate_is_answered_alike_and_a_conflict_is_not(client):
    first = client.post({"id": "m1"})
    again = client.post({"id": "m1"})
    assert (first[0], first[2]) == (again[0], again[2])
    status, _headers, body = client.post({"id": "m1", "note": "changed"})
    assert (status, body["code"]) == (409, "message.key_reused")


def test_without_the_store_nothing_is_accepted(gateway, client):
    gateway.store.down = True
    status, headers, body = client.post({"id": "m1"})
    assert (status, headers["retry-after"], body["code"]) == (503, "5", "store.down")
    gateway.store.down = False
    gateway.store.lost = True
    assert client.post({"id": "m1"})[0] == 503, "written, but nobody knows"
    gateway.store.lost = False
    assert client.post({"id": "m1"})[0] == 202


def test_a_unit_that_cannot_be_stored_costs_its_neighbours_nothing(gateway):
    gateway.store.poison = lambda unit: b"poison" in unit.raw
    with Client(gateway) as good, Client(gateway) as bad:
        assert bad.post({"id": "poison"})[0] == 500
        assert good.post({"id": "m1"})[0] == 202


def test_messages_of_many_connections_share_a_commit(gateway):
    clients = [Client(gateway) for _ in range(40)]
    gateway.store.gate.clear()
    for number, each in enumerate(clients):
        body = json.dumps({"id": str(number)}).encode()
        each.head(len(body))
        each.socket.sendall(body)
    time.sleep(0.2)
    gateway.store.gate.set()
    assert {each.answer()[0] for each in clients} == {202}
    assert max(gateway.store.batches) > 1


def test_header_values_are_read_as_any_wsgi_server_reads_them(gateway):
    with Gateway(dedupe_source="") as running, Client(running) as one:
        raw = b'{"id": 1}'
        one.socket.sendall(
            b"POST /health/in/results HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Authorization: Bearer key\r\nIdempotency-Key: \xc3\xa9\r\n\r\n" + raw
        )
        assert one.answer()[0] == 202
        assert running.store.units[0].dedupe_key == "\xc3\xa9"


# -- what is not let in ---------------------------------------------------------------


def test_an_oversized_body_is_refused_before_it_is_read(client):
    client.head(5001)
    status, _headers, body = client.answer()
    assert (status, body["code"], body["limit"]) == (413, "body.too_large", 5000)


def test_a_stranger_is_refused_before_the_body_is_read(client):
    client.head(100, key="wrong")
    assert client.answer()[0] == 401


def test_who_asks_first_is_told_to_go_on(client):
    client.head(12, "Expect: 100-continue")
    assert client.answer()[0] == 100
    client.socket.sendall(b'{"id": "m1"}')
    assert client.answer()[0] == 202


def test_who_asks_first_with_too_much_is_not_told_to_go_on(client):
    client.head(5001, "Expect: 100-continue")
    assert client.answer()[0] == 413


def test_before_settings_are_read_it_is_not_ready(gateway, client):
    gateway.part._doors = None
    assert client.post({"id": "m1"})[0] == 503
    client.socket.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.answer()[0] == 503
    gateway.run(gateway.part.publish(gateway.doors))
    client.socket.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.answer()[0] == 200


def test_a_codec_of_an_addon_that_is_not_here_is_not_served():
    with Gateway(codec="unknown") as running, Client(running) as one:
        assert one.post({"id": "m1"})[0] == 503


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST /health/in/results HTTP/1.1\r\nContent-Length: SECRET\r\n\r\n",
        b"POST /health/in/results HTTP/1.1\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_our_words(gateway, client, garbage, caplog):
    client.socket.sendall(garbage)
    status, _headers, body = client.answer()
    assert (status, body["code"]) == (400, "request.malformed")
    assert "SECRET" not in caplog.text
    assert client.answer() is None
    with Client(gateway) as other:
        assert other.post({"id": "m1"})[0] == 202


# -- slow, many, gone -----------------------------------------------------------------


def test_one_connection_serves_many_requests(gateway, client):
    for number in range(20):
        assert client.post({"id": str(number)})[0] == 202
    assert gateway.part.counts["connections"] == 1


def test_a_head_that_does_not_come_ends_the_connection():
    with Gateway(Limits(head_time=0.3)) as running, Client(running) as slow:
        slow.socket.sendall(b"POST /health/in/results HTTP/1.1\r\nX-")
        with Client(running) as other:
            assert other.post({"id": "m1"})[0] == 202
        assert slow.answer() is None
        assert running.part.counts["closed.slow"] == 1


def test_a_drip_of_head_bytes_does_not_buy_time():
    with Gateway(Limits(head_time=0.3)) as running, Client(running) as slow:
        slow.socket.sendall(b"POST /health/in/results HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(100):
                slow.socket.sendall(b"X")
                time.sleep(0.02)


def test_a_body_that_does_not_come_is_not_waited_for():
    with Gateway(Limits(body_time=0.3)) as running, Client(running) as slow:
        slow.head(12)
        slow.socket.sendall(b'{"id"')
        status, _headers, body = slow.answer()
        assert (status, body["code"]) == (408, "body.slow")
        assert running.part._memory == 0
        assert not running.store.units


def test_silence_between_requests_ends():
    with Gateway(Limits(idle=0.3)) as running, Client(running) as quiet:
        assert quiet.post({"id": "m1"})[0] == 202
        assert quiet.answer() is None


def test_beyond_the_requests_in_work_it_is_busy():
    with Gateway(Limits(requests=1)) as running:
        running.store.gate.clear()
        with Client(running) as first, Client(running) as second:
            first.head(12)
            first.socket.sendall(b'{"id": "m1"}')
            wait_for(lambda: running.part._memory)
            status, headers, body = second.post({"id": "m2"})
            assert (status, body["code"]) == (503, "server.busy")
            assert headers["retry-after"] == "1"
            running.store.gate.set()
            assert first.answer()[0] == 202


def test_the_bytes_of_all_bodies_are_bounded():
    with Gateway(Limits(memory=100)) as running:
        with Client(running) as first, Client(running) as second:
            first.head(90)
            wait_for(lambda: running.part._memory == 90)
            assert second.post({"id": "m2"})[0] == 503
        wait_for(lambda: running.part._memory == 0)


def test_beyond_the_connections_there_is_no_answer():
    with Gateway(Limits(connections=1)) as running, Client(running) as first:
        assert first.post({"id": "m1"})[0] == 202
        with Client(running) as second:
            assert second.answer() is None


def test_a_client_that_leaves_costs_nothing(gateway):
    with Client(gateway) as leaving:
        leaving.head(4000)
        leaving.socket.sendall(b"x")
        wait_for(lambda: gateway.part._memory)
    wait_for(lambda: not gateway.part._memory and not gateway.part._connections)
    with Client(gateway) as other:
        assert other.post({"id": "m1"})[0] == 202


# -- the end --------------------------------------------------------------------------


def test_a_clean_stop_answers_what_is_in_work(gateway):
    gateway.store.gate.clear()
    with Client(gateway) as working, Client(gateway) as idle:
        assert idle.socket
        working.head(12)
        working.socket.sendall(b'{"id": "m1"}')
        wait_for(lambda: gateway.part._memory)
        stopping = threading.Thread(target=lambda: gateway.run(gateway.part.stop()))
        stopping.start()
        assert idle.answer() is None
        assert working.hears_nothing()
        gateway.store.gate.set()
        status, headers, _body = working.answer()
        assert (status, headers["connection"]) == (202, "close")
        stopping.join(5)
    with pytest.raises(OSError):
        Client(gateway)
