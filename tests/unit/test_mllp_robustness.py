"""Broken, slow and hostile peers: nothing of theirs touches the others."""

import logging
import os
import random
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from health_connector_hl7.lib import ack
from health_connector_hl7.lib.connection import Limits
from health_connector_hl7.lib.door import Door, Flow
from health_connector_hl7.lib.intake import open_frame
from health_connector_hl7.lib.mllp import wrap
from live import wait_for
from loopback import Loopback, MemoryStore, Peer, Unit

SAMPLES = Path(__file__).parent.parent / "samples" / "hl7v2"
MUTATIONS = 10_000
MEGABYTE = 1024 * 1024


def message(control_id="C1", extra=b"") -> bytes:
    header = f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01^ORU_R01|{control_id}|P|2.5.1"
    body = "PID|1||MRN1^^^HOSP^MR||DOE^JANE\rOBR|1|ORD-1\rOBX|1|NM|718-7||13.2\r"
    return f"{header}\r{body}".encode() + extra


def code(answer: bytes | None) -> str:
    assert answer is not None, "the listener hung up"
    return answer.split(b"\rMSA|")[1].split(b"\r")[0].decode()


@pytest.fixture
def quiet_log(caplog):
    """No unhandled exception anywhere, and no content in what is logged."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert "DOE" not in caplog.text and "MRN1" not in caplog.text


@contextmanager
def bystander(listener):
    """A well-behaved peer that must be served well, whatever the others do."""
    with Peer(listener.port) as peer:
        assert code(peer.ask(message("before"))) == "AA|before"
        yield peer
        started = time.monotonic()
        assert code(peer.ask(message("after"))) == "AA|after"
        assert time.monotonic() - started < 0.5


def test_a_frame_that_never_ends_is_given_up(quiet_log):
    with Loopback(limits=Limits(byte_gap=0.3)) as listener, bystander(listener):
        with Peer(listener.port) as peer:
            peer.send(wrap(message())[:-20])
            started = time.monotonic()
            assert peer.receive() is None
            assert 0.2 < time.monotonic() - started < 1.5
        assert listener.server.counts["closed.slow"] == 1
        assert listener.server.memory == 0
        assert len(listener.store.units) == 1


def test_slow_loris_is_ended_by_the_time_for_a_frame(quiet_log):
    limits = Limits(byte_gap=1.0, frame_time=0.8)
    with Loopback(limits=limits) as listener, bystander(listener):
        drops = [Peer(listener.port) for _ in range(50)]
        ended = 0
        for byte in wrap(message())[:40]:
            for peer in drops:
                try:
                    peer.send(bytes([byte]))
                except OSError:
                    ended += 1
            time.sleep(0.04)
            if ended:
                break
        assert ended, "one byte now and then must not hold a connection for ever"
        for peer in drops:
            peer.socket.close()


def test_a_cut_off_frame_is_not_stored(quiet_log):
    with Loopback() as listener, bystander(listener):
        raw = wrap(message("cut"))
        for end in range(0, len(raw) - 2, 7):
            with Peer(listener.port) as peer:
                peer.send(raw[:end])
        assert [unit.external_ref for unit in listener.store.units] == ["before"]


def test_reset_connections_leave_nothing_behind(quiet_log):
    with Loopback() as listener, bystander(listener):
        for _ in range(50):
            peer = Peer(listener.port)
            peer.send(wrap(message("r")) + wrap(message("r"))[:50])
            peer.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            peer.socket.close()
        time.sleep(0.3)
        assert len(listener.server._connections) == 1
        assert listener.server.memory == 0


def test_20_megabytes_are_taken(quiet_log):
    with Loopback() as listener, bystander(listener):
        raw = message(extra=b"OBX|2|ED|PDF||" + b"A" * 20 * MEGABYTE + b"\r")
        with Peer(listener.port, timeout=20) as peer:
            assert code(peer.ask(raw)) == "AA|C1"
        assert listener.store.units[-1].raw == raw


def test_an_oversize_frame_is_refused_and_not_buffered(quiet_log):
    with Loopback([Flow("any", max_size=MEGABYTE)]) as listener, bystander(listener):
        with Peer(listener.port) as peer:
            peer.send(b"\x0b" + message() + b"A" * 2 * MEGABYTE)
            answer = peer.receive()
            assert code(answer) == "AR|C1"
            assert b"|104^Value too long^HL70357|" in answer
            assert peer.receive() is None
        assert listener.server.memory == 0
        assert len(listener.store.units) == 1


def test_an_oversize_frame_is_answered_even_while_the_peer_goes_on_sending():
    with Loopback([Flow("any", max_size=MEGABYTE)]) as listener:
        with Peer(listener.port) as peer:
            peer.send(b"\x0b" + message())
            for _ in range(12):
                peer.send(b"A" * MEGABYTE)
                time.sleep(0.01)
            assert code(peer.receive()) == "AR|C1"


def test_too_much_at_once_is_put_off(quiet_log):
    with Loopback(limits=Limits(memory=3 * MEGABYTE)) as listener, bystander(listener):
        large = b"\x0b" + message("L") + b"A" * 2 * MEGABYTE
        with Peer(listener.port) as first, Peer(listener.port) as second:
            first.send(large)
            time.sleep(0.2)
            second.send(large)
            assert code(second.receive()) == "AE|L"
            assert second.receive() is None
            first.send(b"\r\x1c\r")
            assert code(first.receive()) == "AA|L"


def test_endless_junk_is_given_up(quiet_log):
    with Loopback(limits=Limits(junk=1000)) as listener, bystander(listener):
        with Peer(listener.port) as peer:
            peer.send(b"GET / HTTP/1.1\r\n\r\n" + wrap(message()))
            assert code(peer.receive()) == "AA|C1", "a little junk is tolerated"
            peer.send(b"x" * 2000)
            assert peer.receive() is None


def test_a_peer_that_reads_no_answers_is_ended(quiet_log):
    with Loopback(limits=Limits(unread=0.5)) as listener, bystander(listener):
        with Peer(listener.port, timeout=8) as peer:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with pytest.raises(OSError):
                for number in range(200_000):
                    peer.send(wrap(message(f"C{number}")))
        # with its receive buffer full, TCP may hold up what it sends itself
        counts = listener.server.counts
        wait_for(lambda: counts["closed.unread"] + counts["closed.slow"] == 1)


def test_a_peer_that_pipelines_without_waiting_is_slowed_down_not_refused():
    with Loopback(limits=Limits(window=4)) as listener, Peer(listener.port) as peer:
        peer.send(b"".join(wrap(message(f"C{number}")) for number in range(500)))
        for number in range(500):
            assert code(peer.receive()) == f"AA|C{number}"


def test_200_connections_are_all_served(quiet_log):
    with Loopback() as listener:
        peers = [Peer(listener.port) for _ in range(200)]
        for round_number in range(3):
            for number, peer in enumerate(peers):
                peer.send(wrap(message(f"{round_number}-{number}")))
            for number, peer in enumerate(peers):
                assert code(peer.receive()) == f"AA|{round_number}-{number}"
        assert len(listener.store.units) == 600
        assert max(listener.store.batches) > 1, "group commit"
        for peer in peers:
            peer.socket.close()


# -- random input ---------------------------------------------------------------------


def seeds() -> list[bytes]:
    own = sorted(SAMPLES.rglob("*.hl7")) if SAMPLES.is_dir() else []
    texts = [path.read_bytes() for path in own if path.stat().st_size < 20_000]
    return [*texts, message(), message(extra="NTE|1||Müller\r".encode())]


def mutate(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(data) + 1)
        action = rng.randrange(5)
        if action == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif action == 1:
            data[at:at] = rng.choice((b"|", b"^", b"\r", b"\x0b", b"\x1c", b"\x00"))
        elif action == 2:
            del data[at : at + rng.choice((1, 10, 200))]
        elif action == 3:
            data[at:at] = data[: rng.randrange(60)]
        else:
            data[at : at + 3] = rng.choice((b"MSH", b"BHS", b"FTS", b"\xff\xfe"))
    return bytes(data)


def test_ten_thousand_mutations_in_frames_each_get_one_answer(quiet_log):
    """Below the socket, so that every single answer can be looked at."""
    rng = random.Random(20260309)
    door, store, sources = Door([Flow("any")], Unit), MemoryStore(), seeds()
    verdicts = {}
    for _ in range(MUTATIONS):
        raw = mutate(rng.choice(sources), rng)
        frame = open_frame(raw, door)
        for piece in frame.pieces:
            if piece.answer is None:
                piece.settle(store.write([piece.unit])[0][0])
        answers = [piece.answer for piece in frame.pieces]
        assert all(
            piece.answer or piece.mute or not mode.on_success or not mode.on_failure
            for piece in frame.pieces
            if (mode := piece.envelope.mode)
        )
        assert all(answer in frame.reply() for answer in answers)
        for piece in frame.pieces:
            if piece.answer:
                separator = piece.envelope.separator
                assert piece.answer.startswith(b"MSH" + separator)
                verdict = piece.answer.split(b"\rMSA" + separator)[1][:2].decode()
                verdicts[verdict] = verdicts.get(verdict, 0) + 1
    assert {"AA", "AE", "AR"} <= verdicts.keys(), "the mutations reach every branch"


def test_mutated_streams_harm_nobody_and_what_was_accepted_is_there(quiet_log):
    """Whole streams, frame bytes and all, from many connections."""
    rng = random.Random(7)
    count = 2000 if os.environ.get("HEALTH_LONG") else 400
    limits = Limits(byte_gap=0.5, linger=0.2)
    sources = seeds()
    with Loopback(limits=limits) as listener, bystander(listener) as good:
        accepted = 0
        for number in range(count):
            with Peer(listener.port, timeout=3) as peer:
                sound = wrap(message(f"S{number}"))
                broken = mutate(wrap(rng.choice(sources)), rng)
                peer.send(broken + b"\x1c\r" + sound)
                peer.socket.shutdown(socket.SHUT_WR)
                while (answer := peer.receive()) is not None:
                    accepted += answer.count(b"\rMSA|AA|")
            if number % 100 == 0:
                assert code(good.ask(message(f"by{number}"))) == f"AA|by{number}"
        stored = {unit.external_ref for unit in listener.store.units}
        counts = listener.server.counts
        assert accepted <= counts["new"] + counts["duplicate"]
        sound = sum(f"S{number}" in stored for number in range(count))
        assert sound > count * 0.8
        assert listener.server.memory == 0


def test_the_key_of_an_answer_never_repeats():
    assert len({ack.fresh_key() for _ in range(1000)}) == 1000
