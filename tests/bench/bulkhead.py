"""A sick partner and its neighbour: throughput of a healthy backend while another one
hangs ÷ alone.

Healthy: results by MLLP to updated orders, as in ``pipeline.py``. Sick: 500 messages to
a port that takes the connection and never answers, so that each call lasts as long as
its timeout. Measured from its first call on: that is when it hurts most, before the
breaker of that backend opens. Wants a running system (HEALTH_CONF, HEALTH_PG_DSN).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pipeline
from _bench import SMOKE, connect, durability, figure, odoo_shell, ratio, say
from _results import make_orders

COUNT = 60 if SMOKE else 1000
SICK = 20 if SMOKE else 500
ROUNDS = 1 if SMOKE else 3
CODE = "bench-sick"
WAIT = 120

_SETUP = """
backend = env["health.backend"].search([("code", "=", "{code}")])
if not backend:
    backend = env["health.backend"].create({{
        "name": "Sick", "code": "{code}", "connect_timeout": 2, "read_timeout": 5,
        "http_url": "http://127.0.0.1:{port}"}})
    mapping = env["health.mapping"].create({{
        "name": "{code}", "codec": "record",
        "model_id": env["ir.model"]._get_id("res.partner"),
        "line_ids": [(0, 0, {{"target": "number", "source": "ref"}})]}})
    env["health.interface"].create({{
        "name": "Sick", "code": "{code}", "backend_id": backend.id,
        "mapping_id": mapping.id,
        "direction": "out", "codec": "json", "handler": "core.record",
        "state": "live", "path": "orders"}})
backend.http_url = "http://127.0.0.1:{port}"
env.cr.commit()
"""
_EMIT = """
interface = env["health.interface"].search([("code", "=", "{code}")])
for number in range({count}):
    env["health.message"]._emit(
        interface, document={{"number": f"N-{{number}}"}}, order_key=str(number))
env.cr.commit()
"""
_OPEN = """
SELECT count(*) FROM health_message m JOIN health_backend b ON b.id = m.backend_id
 WHERE b.code = %s AND m.state = 'processing'
"""
_CLEAN = """
UPDATE health_message m SET state = 'cancelled'
  FROM health_backend b
 WHERE b.id = m.backend_id AND b.code = %s
   AND m.state IN ('pending', 'waiting', 'processing', 'unknown', 'parked')
"""
_RESET = """
UPDATE health_backend_gate g
   SET breaker = 'closed', failures = 0, openings = 0, until = NULL, calls = NULL
  FROM health_backend b WHERE b.id = g.backend_id AND b.code = %s
"""


class Silent:
    """A port that takes connections and says nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._taken: list[socket.socket] = []
        self.called = threading.Event()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(self._server.accept()[0])
                self.called.set()

    def hang_up(self) -> None:
        """Let calls under way end."""
        for connection in self._taken:
            connection.close()
        self._taken.clear()


class Bench:
    def __init__(self, cursor, silent: Silent, messages: list[bytes]) -> None:
        self._cursor = cursor
        self._silent = silent
        self._messages = messages

    def alone(self) -> float:
        return self._throughput()

    def beside_a_sick_one(self) -> float:
        self._silent.called.clear()
        odoo_shell(_EMIT.format(code=CODE, count=SICK))
        if not self._silent.called.wait(WAIT):
            raise RuntimeError("the sick backend was never called")
        rate = self._throughput()
        self._cure()
        return rate

    def _throughput(self) -> float:
        batch = [self._messages.pop() for _each in range(COUNT)]
        self._cursor.execute("SELECT COALESCE(max(id), 0) FROM health_message")
        last_id = self._cursor.fetchone()[0]
        started = time.perf_counter()
        threads = [
            threading.Thread(
                target=pipeline.send, args=(batch[number :: pipeline.CONNECTIONS],)
            )
            for number in range(pipeline.CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipeline.wait_done(self._cursor, last_id, COUNT)
        return COUNT / (time.perf_counter() - started)

    def _cure(self) -> None:
        """Nothing of the sick backend is left to do."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            self._cursor.execute(_CLEAN, [CODE])
            self._silent.hang_up()
            self._cursor.execute(_OPEN, [CODE])
            if not self._cursor.fetchone()[0]:
                break
            time.sleep(0.2)
        self._cursor.execute(_RESET, [CODE])


def main() -> None:
    silent = Silent()
    odoo_shell(_SETUP.format(code=CODE, port=silent.port))
    messages = make_orders(COUNT * (ROUNDS * 2 + 1))
    # as a context manager a connection would hold one transaction, and its locks
    with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
        say(f"  {durability(cursor)}, {COUNT} results, {SICK} messages that hang")
        bench = Bench(cursor, silent, messages)
        bench.alone()
        value = ratio(bench.beside_a_sick_one, bench.alone, ROUNDS)
    figure("bulkhead", value, "ratio", bar=0.85)


if __name__ == "__main__":
    main()
