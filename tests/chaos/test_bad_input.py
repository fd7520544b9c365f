"""Bad input of every kind at the running listener and the HTTP door (issue §7).

Whatever comes: an answer or a closed connection, no unhandled exception, nobody else
disturbed, and what was accepted is in the database and ends in a state.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from live import (
    END,
    START,
    MllpPeer,
    ack_code,
    bearer_key,
    drained,
    logs,
    query,
    samples,
    wait_for,
)

LONG = bool(os.environ.get("HEALTH_LONG"))
MUTATIONS = 100_000 if LONG else 10_000
SENDERS = 4
SEED = int(os.environ.get("HEALTH_SEED", "20261122"))

POSITIVE = {"AA", "CA"}
FAULT = re.compile(r"Traceback|unhandled|Task exception was never retrieved", re.I)


def result(control: str, order: str = "LAB-000001") -> bytes:
    return (
        "MSH|^~\\&|NORTHLAB|NL|ODOO|HUB|20261101080000||ORU^R01^ORU_R01|"
        f"{control}|P|2.5.1\rPID|1||MRN100001^^^HEALTHGROUP^MR||TEST^A\r"
        f"ORC|RE|{order}|F-{order}\rOBR|1|{order}|F-{order}|58410-2^CBC^LN|||20261101\r"
        "OBX|1|NM|718-7^HGB^LN||13|g/dL||N|||F\r"
    ).encode()


def accepted_rows() -> int:
    return query("SELECT count(*) FROM health_message WHERE direction = 'in'")[0][0]


@pytest.fixture(autouse=True)
def no_faults():
    """Nothing in this file may leave an unhandled exception in a log."""
    before = len(logs())
    yield
    assert not FAULT.search(logs()[before:])


@pytest.fixture
def canary():
    """A well-behaved partner that sends all the while; each message must be
    acknowledged within its timeout."""
    stop, codes = threading.Event(), []

    def run():
        with MllpPeer(timeout=10) as peer:
            number = 0
            while not stop.is_set():
                number += 1
                code = ack_code(peer.ask(result(f"CANARY{os.getpid()}-{number}")))
                codes.append(code)
                stop.wait(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield codes
    stop.set()
    thread.join(20)
    assert codes and set(codes) == {"AA"}


def test_every_sample_gets_an_answer_and_nothing_accepted_is_lost(canary) -> None:
    """One connection for all; where the listener closes, the next one opens.

    A sample that is itself an acknowledgement gets no answer: each sample is followed
    by a message whose answer is waited for.
    """
    before, positive, sent = accepted_rows(), 0, 0
    peer = MllpPeer()
    for path in samples():
        content = path.read_bytes().strip(START + END)
        if not content.strip():
            continue
        sent += 1
        peer.send(content)
        peer.send(result(f"AFTER{sent}"))
        peer, answers = answers_until(peer, f"AFTER{sent}".encode())
        positive += sum(answer.count(b"MSA|AA") for answer in answers)
    assert sent >= 100
    stored = accepted_rows() - before
    # a duplicate is acknowledged again without a new row; nothing is stored unasked
    assert 0 < stored <= positive + len(canary) + conflicts()
    wait_for(drained, 120)


def conflicts() -> int:
    return query("SELECT count(*) FROM health_message WHERE conflict_id IS NOT NULL")[
        0
    ][0]


def mutate(draw: random.Random, message: bytes) -> bytes:
    """A few random edits: flipped, cut, doubled and inserted bytes."""
    data = bytearray(message)
    for _edit in range(draw.randint(1, 6)):
        place = draw.randrange(len(data)) if data else 0
        kind = draw.randrange(4)
        if kind == 0 and data:
            data[place] = draw.randrange(256)
        elif kind == 1:
            del data[place : place + draw.randint(1, 40)]
        elif kind == 2:
            data[place:place] = data[place : place + draw.randint(1, 40)]
        else:
            data[place:place] = draw.randbytes(draw.randint(1, 8))
    return bytes(data)


def test_random_mutations(canary) -> None:
    """Seeded mutations over a few connections; frames may break, the listener not."""
    base = [result(f"MUT{number}", f"LAB-0000{number:02}") for number in range(1, 21)]
    base += [path.read_bytes() for path in list(samples())[:60]]
    base = [message for message in base if len(message) < 20_000]
    with ThreadPoolExecutor(SENDERS) as pool:
        answers = pool.map(lambda seed: send_mutations(seed, base), range(SENDERS))
    assert sum(answers) > MUTATIONS / 2
    wait_for(drained, 300)


def send_mutations(seed: int, base: list[bytes]) -> int:
    """One partner's share; answers are read in bundles. Returns how many came."""
    draw = random.Random(SEED + seed)
    peer, count = MllpPeer(timeout=30), 0
    for number in range(MUTATIONS // SENDERS):
        content = mutate(draw, draw.choice(base)).replace(START, b"").replace(END, b"")
        peer.send(content)
        if number % 50 == 49:
            marker = f"SYNC{seed}-{number}"
            peer.send(result(marker))
            peer, answers = answers_until(peer, marker.encode())
            count += len(answers)
    return count


def answers_until(peer: MllpPeer, marker: bytes) -> tuple[MllpPeer, list[bytes]]:
    """Read up to the marker's answer; a connection that was closed is replaced."""
    answers = []
    while True:
        answer = peer.answer()
        if answer is None:
            return MllpPeer(timeout=30), answers
        answers.append(answer)
        if marker in answer:
            return peer, answers


@pytest.mark.parametrize(
    "stream",
    [
        START + result("CUT1")[:80],
        START + result("CUT2"),
        result("CUT3"),
        START + START + result("CUT4") + END,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(range(256)) * 40,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["cut", "no-end", "no-start", "two-starts", "http", "binary", "tls"],
)
def test_broken_streams_disturb_nobody(canary, stream: bytes) -> None:
    with MllpPeer() as peer:
        peer.send_raw(stream)
        seen = len(canary)
        wait_for(lambda: len(canary) > seen + 5, 10)


def test_two_frames_in_one_write_are_two_answers() -> None:
    with MllpPeer() as peer:
        peer.send_raw(b"".join(START + result(c) + END for c in ("TWO1", "TWO2")))
        assert [ack_code(peer.answer()), ack_code(peer.answer())] == ["AA", "AA"]


def test_two_messages_in_one_frame_are_refused() -> None:
    with MllpPeer() as peer:
        assert ack_code(peer.ask(result("IN1") + result("IN2"))) == "AR"
    assert not query("SELECT 1 FROM health_message WHERE external_ref = 'IN1'")


def test_a_wrong_charset_is_refused() -> None:
    bad = result("CHARSET1").replace(b"TEST^A", b"M\xfcller^A")
    with MllpPeer() as peer:
        assert ack_code(peer.ask(bad)) == "AE"
    assert not query("SELECT 1 FROM health_message WHERE external_ref = 'CHARSET1'")


def test_huge_frames_are_refused_without_harm(canary) -> None:
    """20 MB in one frame: refused by the interface's limit, others go on."""
    huge = result("HUGE1") + b"OBX|2|ED|||" + b"A" * (20 << 20) + b"\r"
    with MllpPeer(timeout=60) as peer:
        try:
            answer = peer.ask(huge)
        except (ConnectionResetError, BrokenPipeError):
            answer = None
        assert ack_code(answer) in {"AR", "AE", "closed"}
    assert not query("SELECT 1 FROM health_message WHERE external_ref = 'HUGE1'")


def test_many_idle_connections_leave_room_for_work() -> None:
    port = int(os.environ["HEALTH_MLLP_PORT"])
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
    try:
        with MllpPeer() as peer:
            assert ack_code(peer.ask(result("ROOM1"))) == "AA"
    finally:
        for each in idle:
            each.close()


@pytest.fixture(scope="module")
def post():
    """Send a body to the HTTP door of the same flow."""
    key = bearer_key("northlab")
    address = f"{os.environ['HEALTH_URL']}/health/in/northlab-oru-http"

    def send(data: bytes) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/hl7-v2",
        }
        return requests.post(address, data=data, headers=headers, timeout=60)

    return send


class TestHttp:
    """The same at the HTTP door."""

    def test_every_sample_is_accepted_or_told_what_to_do(self, post) -> None:
        for path in samples():
            answer = post(path.read_bytes())
            body = answer.json()
            if answer.status_code == 202:
                assert query("SELECT 1 FROM health_message WHERE id = %s", body["id"])
            else:
                assert 400 <= answer.status_code < 500, (path.name, answer.text)
                assert body["code"] and body["title"] and body["next"]
        wait_for(drained, 120)

    def test_large_bodies_are_refused(self, post) -> None:
        assert post(result("BIG1") + b"Z" * (20 << 20)).status_code == 413

    def test_mutations(self, post) -> None:
        draw = random.Random(SEED)
        for number in range(300):
            answer = post(mutate(draw, result(f"HTTPMUT{number}")) or b"x")
            assert answer.status_code in {202, 400, 409, 422}, answer.text
        wait_for(drained, 120)
