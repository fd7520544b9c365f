"""The listener as it runs: its own process, PostgreSQL, and peers of other makers.

Everything goes to an interface of its own on a paused backend, so that what is
stored stays as it was accepted. (What the peers make of our answers in detail, and
our sender, is in tests/unit/test_mllp_peers.py.)
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psycopg2
import pytest
from health_connector_hl7.lib.loopback import Peer
from health_connector_hl7.lib.mllp import wrap
from health_connector_hl7.lib.mllp_client import Sender, Timeouts, send
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message

ROOT = Path(__file__).resolve().parents[2]
MLLP_SEND = Path(sys.executable).with_name("mllp_send")
TIMEOUTS = Timeouts(2.0, 2.0, 10.0)
MEMORY_MB = 120


def message(control_id: str, note: str = "") -> bytes:
    return (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r"
        f"PID|1||ZZMARKER1^^^HOSP^MR||ZZMARKER2^JANE\rORC|RE|ORD-{control_id}\r"
        f"OBR|1|ORD-{control_id}\rOBX|1|NM|718-7||13.2\r{note}"
    ).encode()


def verdict(answer: bytes | None) -> str:
    """MSA-1 and MSA-2; empty when the listener hung up."""
    if answer is None:
        return ""
    return answer.split(b"\rMSA|")[1].split(b"\r")[0].decode()


@pytest.fixture(scope="module")
def cursor():
    connection = psycopg2.connect(os.environ["HEALTH_PG_DSN"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def clone(cursor, table: str, like: str, **values) -> int:
    """Copy a row of the demo with other values."""
    cursor.execute(
        f"""INSERT INTO {table} SELECT (jsonb_populate_record(t, %s::jsonb
                || jsonb_build_object('id', nextval('{table}_id_seq')))).*
              FROM {table} t WHERE code = %s RETURNING id""",
        [json.dumps(values), like],
    )
    return cursor.fetchone()[0]


class Flow:
    """An interface of a test: where it listens and what it has stored."""

    def __init__(self, cursor, like: str = "northlab-oru") -> None:
        self.cursor = cursor
        self.code = f"e2e-{uuid.uuid4().hex[:8]}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        cursor.execute(
            """SELECT b.code FROM health_interface i
                 JOIN health_backend b ON b.id = i.backend_id WHERE i.code = %s""",
            [like],
        )
        backend = clone(
            cursor,
            "health_backend",
            cursor.fetchone()[0],
            code=self.code,
            paused_in=True,
        )
        values = {"mapping_id": None, "contract_id": None, "handler": "core.keep"}
        values |= {"backend_id": backend, "mllp_port": self.port, "state": "live"}
        self.id = clone(cursor, "health_interface", like, code=self.code, **values)

    def set_state(self, state: str) -> None:
        self.cursor.execute(
            "UPDATE health_interface SET state = %s WHERE id = %s", [state, self.id]
        )

    def wait_open(self, is_open: bool = True, seconds: float = 15) -> None:
        """The listener reads settings every few seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                reachable = True
            except OSError:
                reachable = False
            if reachable == is_open:
                return
            time.sleep(0.1)
        raise AssertionError(f"port {self.port}: open={reachable}")

    def stored(self) -> list[str]:
        """Control ids in the order in which they were stored."""
        self.cursor.execute(
            """SELECT external_ref FROM health_message WHERE interface_id = %s
                ORDER BY id""",
            [self.id],
        )
        return [row[0] for row in self.cursor.fetchall()]


@pytest.fixture
def flow(cursor):
    made = Flow(cursor)
    made.wait_open()
    yield made
    made.set_state("retired")


# -- peers ----------------------------------------------------------------------------


def test_mllp_send_of_python_hl7(flow, tmp_path):
    ids = [f"M{number}" for number in range(30)]
    path = tmp_path / "messages.hl7"
    path.write_bytes(b"".join(wrap(message(each)) for each in ids))
    command = [MLLP_SEND, "-p", str(flow.port), "-f", path, "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\rMSA|AA|M") == 30
    assert flow.stored() == ids


def test_a_client_of_hl7apy(flow):
    built = Message("ORU_R01", version="2.5.1")
    built.msh.msh_3, built.msh.msh_4 = "LAB", "MAIN"
    built.msh.msh_9 = "ORU^R01^ORU_R01"
    built.msh.msh_10, built.msh.msh_11 = "H1", "P"
    order = built.add_group("ORU_R01_PATIENT_RESULT").add_group(
        "ORU_R01_ORDER_OBSERVATION"
    )
    order.add_segment("OBR").obr_2 = "ORD-H1"
    with Peer(flow.port) as peer:
        peer.send(built.to_mllp().encode())
        answer = peer.receive().decode()
    read = parse_message(answer, validation_level=VALIDATION_LEVEL.STRICT)
    assert read.validate()
    assert (read.msa.msa_1.value, read.msa.msa_2.value) == ("AA", "H1")
    assert flow.stored() == ["H1"]


def test_our_sender(flow):
    assert send("127.0.0.1", flow.port, message("S1"), TIMEOUTS).kind == "acked"
    assert flow.stored() == ["S1"]


# -- accepting ------------------------------------------------------------------------


def test_a_duplicate_gets_the_first_answer_and_a_conflict_is_kept(flow):
    with Peer(flow.port) as peer:
        first = peer.ask(message("D1"))
        time.sleep(1.1)
        with Peer(flow.port) as other:
            assert other.ask(message("D1")) == first
        assert flow.stored() == ["D1"]
        assert verdict(peer.ask(message("D1", note="NTE|1\r"))) == "AE|D1"
        assert flow.stored() == ["D1", "D1"]


def test_odd_control_ids_are_stored_as_they_are(flow):
    """Often enough for prepared statements, and with every special character."""
    ids = [f'odd-{number} "q" {{a,b}} NULL \\ %s' for number in range(10)]
    with Peer(flow.port) as peer:
        for control_id in ids:
            assert verdict(peer.ask(message(control_id))) == f"AA|{control_id}"
    assert flow.stored() == ids


def test_nothing_of_a_patient_is_stored_in_the_clear(flow, cursor):
    with Peer(flow.port) as peer:
        assert verdict(peer.ask(message("P1"))) == "AA|P1"
    cursor.execute(
        """SELECT m::text || p::text FROM health_message m
             JOIN health_payload p ON p.message_id = m.id WHERE interface_id = %s""",
        [flow.id],
    )
    [(row,)] = cursor.fetchall()
    assert "ZZMARKER" not in row and b"ZZMARKER".hex() not in row
    log = Path(os.environ["HEALTH_LOG_DIR"], "gateway.log").read_text()
    assert "ZZMARKER" not in log and "Traceback" not in log


def test_settings_are_followed_without_a_restart(flow, cursor):
    with Peer(flow.port) as peer:
        assert verdict(peer.ask(message("F1"))) == "AA|F1"
        flow.set_state("suspended")
        flow.wait_open(False)
        assert peer.receive() is None
    flow.set_state("live")
    flow.wait_open()
    with Peer(flow.port) as peer:
        assert verdict(peer.ask(message("F2"))) == "AA|F2"


def test_more_than_agreed_is_put_off_and_accepted_later(flow, cursor):
    limit = "UPDATE health_backend SET rate_in = %s, rate_in_burst = 2 WHERE code = %s"
    cursor.execute(limit, [0.01, flow.code])
    with Peer(flow.port) as peer:
        # settings are read every few seconds: then no more is let in
        answers = [verdict(peer.ask(message(f"R{number}"))) for number in range(2)]
        deadline = time.monotonic() + 15
        while not answers[-1].startswith("AE"):
            assert time.monotonic() < deadline
            answers.append(verdict(peer.ask(message(f"R{len(answers)}"))))
        late = peer.ask(message("late"))
        assert b"|207^" in late and verdict(late) == "AE|late"
        assert "late" not in flow.stored()
        cursor.execute(limit, [None, flow.code])
        while verdict(peer.ask(message("late"))) != "AA|late":
            assert time.monotonic() < deadline + 15
            time.sleep(0.1)
    accepted = [each.partition("|")[2] for each in answers if each.startswith("AA")]
    assert flow.stored() == [*accepted, "late"]


def test_a_batch_is_answered_message_by_message(flow):
    raw = b"BHS|^~\\&|LAB|MAIN|ODOO|HOSP|2026||||B1\r" + message("B1") + message("B2")
    with Peer(flow.port) as peer:
        answer = peer.ask(raw + b"BTS|2\r").decode()
    assert answer.count("\rMSA|AA|B") == 2
    assert flow.stored() == ["B1", "B2"]


# -- the database goes away -----------------------------------------------------------


def until_accepted(flow, ids: list[str], refused: list[str]) -> None:
    """A sender as partners have them: the same message again until it hears AA."""
    with Sender("127.0.0.1", flow.port, TIMEOUTS) as sender:
        for control_id in ids:
            for _try in range(200):
                outcome = sender.send(message(control_id))
                if outcome.kind == "acked":
                    break
                refused.append(outcome.kind)
                time.sleep(0.05)
            else:
                raise AssertionError(f"{control_id} was never accepted")


def test_lost_connections_to_the_database_lose_and_double_nothing(flow, cursor):
    lanes = [[f"L{lane}-{number}" for number in range(150)] for lane in range(6)]
    refused: list[str] = []
    senders = [
        threading.Thread(target=until_accepted, args=(flow, ids, refused))
        for ids in lanes
    ]
    for sender in senders:
        sender.start()
    terminated = 0
    while any(sender.is_alive() for sender in senders):
        cursor.execute(
            """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = 'health-gateway'
                  AND datname = current_database() AND usename = current_user"""
        )
        terminated += cursor.fetchone()[0]
        time.sleep(0.25)
    for sender in senders:
        sender.join()
    stored = flow.stored()
    assert terminated > 2
    assert len(stored) == len(set(stored)) == 900
    for ids in lanes:
        mine = [each for each in stored if each in set(ids)]
        assert mine == ids, "each sender's messages in the order of their answers"


# -- the process ----------------------------------------------------------------------


class Listener:
    """A second listener on the same database, with a port of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        command = [ROOT / "setup" / "odoo", "health_gateway"]
        command += ["-c", os.environ["HEALTH_CONF"], "-d", os.environ["HEALTH_DB"]]
        self.process = subprocess.Popen(
            [*command, "--mllp-port", str(port)],
            env={
                **os.environ,
                "ODOO_RC": os.environ["HEALTH_CONF"],
                "HEALTH_GATEWAY_PORT": "",
            },
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def memory(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def second(cursor):
    """Serves the demo's interface, whose port is the standard one, on another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listener = Listener(port)
    try:
        deadline = time.monotonic() + 20
        while True:
            assert listener.process.poll() is None, listener.process.stderr.read()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield listener
    finally:
        listener.process.kill()
        listener.process.wait()


def test_200_connections_in_little_memory_and_a_clean_end(second):
    run = uuid.uuid4().hex[:6]
    peers = [Peer(second.port, timeout=20) for _ in range(200)]
    for number, peer in enumerate(peers):
        peer.send(wrap(message(f"{run}-{number}")))
    for number, peer in enumerate(peers):
        assert verdict(peer.receive()) == f"AA|{run}-{number}"
    assert second.memory() < MEMORY_MB
    for number, peer in enumerate(peers):
        peer.send(wrap(message(f"{run}-last-{number}")))
    time.sleep(0.02)
    assert second.stop() == 0
    answers = [peer.receive() for peer in peers]
    for number, answer in enumerate(answers):
        expected = (f"AA|{run}-last-{number}", f"AE|{run}-last-{number}", "")
        assert verdict(answer) in expected, "finished, or refused, never promised"
    assert any(answer is not None for answer in answers)


def test_without_a_key_ring_it_says_so_and_accepts_nothing(tmp_path):
    command = [ROOT / "setup" / "odoo", "health_gateway"]
    command += ["-c", os.environ["HEALTH_CONF"], "-d", os.environ["HEALTH_DB"]]
    done = subprocess.run(
        [*command, "--mllp-port", "1"],
        env={**os.environ, "HEALTH_KEYRING": str(tmp_path / "missing.json")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "nothing can be accepted" in done.stderr
    assert "Traceback" not in done.stderr
