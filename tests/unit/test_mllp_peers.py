"""Real peers of other makers, on both sides of the wire.

python-hl7: its ``mllp_send`` program, its blocking client and its asyncio server.
hl7apy: its messages and wire format as a client, its strict validator on our
answers, and its threading server.
"""

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import hl7
import hl7.client
import pytest
from health_connector_hl7.lib.mllp import wrap
from health_connector_hl7.lib.mllp_client import Sender, Timeouts, send
from hl7.mllp import start_hl7_server
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message
from loopback import Loopback

MLLP_SEND = Path(sys.executable).with_name("mllp_send")
PATIENT = "PID|1||MRN1^^^HOSP^MR||Müller^Jürgen\rOBR|1|ORD-1\rOBX|1|TX|N||größer\r"
QUICK = Timeouts(2.0, 2.0, 3.0)


def message(control_id="C1", version="2.5.1", kind="ORU^R01^ORU_R01") -> str:
    return (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||{kind}|{control_id}|P|{version}"
        f"||||||UNICODE UTF-8\r{PATIENT}"
    )


@pytest.fixture
def listener():
    with Loopback() as loopback:
        yield loopback


# -- python-hl7 sends -----------------------------------------------------------------


def mllp_send(port: int, content: bytes, folder: Path, *options: str) -> bytes:
    """Run python-hl7's own program; returns what it prints, the answers."""
    path = folder / "messages.hl7"
    path.write_bytes(content)
    command = [MLLP_SEND, "-p", str(port), "-f", path, *options, "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mllp_send(listener, tmp_path):
    frames = b"".join(wrap(message(f"C{n}").encode()) for n in range(20))
    answers = mllp_send(listener.port, frames, tmp_path)
    assert answers.count(b"\rMSA|AA|C") == 20
    assert len(listener.store.units) == 20
    # mllp_send strips the last CR: what it sent is what was stored
    assert listener.store.units[7].raw == message("C7").rstrip("\r").encode()


def test_mllp_send_loose_with_unix_line_ends(listener, tmp_path):
    text = message("C1") + message("C2")
    content = text.replace("\r", "\n").encode()
    answers = mllp_send(listener.port, content, tmp_path, "--loose")
    assert answers.count(b"\rMSA|AA|C") == 2
    assert [unit.external_ref for unit in listener.store.units] == ["C1", "C2"]


def test_python_hl7_reads_our_answers(listener):
    with hl7.client.MLLPClient("127.0.0.1", listener.port) as client:
        raw = client.send_message(hl7.parse(message("C1")))
        answer = hl7.parse(raw.strip(b"\x0b\x1c\r").decode())
        assert answer.extract_field("MSA", 1, 1) == "AA"
        assert answer.extract_field("MSA", 1, 2) == "C1"
        assert answer.extract_field("MSH", 1, 3) == "ODOO"
        assert answer.extract_field("MSH", 1, 9, 1, 2) == "R01"
        assert answer.extract_field("MSH", 1, 18) == "UNICODE UTF-8"


# -- hl7apy sends ---------------------------------------------------------------------


def build(version: str, control_id: str = "H1") -> Message:
    """An ADT as hl7apy builds and writes it."""
    built = Message("ADT_A01", version=version)
    built.msh.msh_3, built.msh.msh_4 = "LAB", "MAIN"
    built.msh.msh_5, built.msh.msh_6 = "ODOO", "HOSP"
    built.msh.msh_9 = "ADT^A01^ADT_A01" if version >= "2.3.1" else "ADT^A01"
    built.msh.msh_10, built.msh.msh_11 = control_id, "P"
    built.evn.evn_2 = "20260309070000"
    built.pid.pid_5 = "DOE^JANE"
    return built


def ask_as_hl7apy(port: int, framed: str) -> str:
    """hl7apy has no client class: its documentation sends ``to_mllp()`` on a plain
    socket."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(framed.encode())
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += connection.recv(4096)
    return answer.strip(b"\x0b\x1c\r").decode()


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1"])
def test_hl7apy_reads_our_answer_of_an_old_version(listener, version):
    """Before 2.4 MSH-9 is only ``ACK``: too little for hl7apy's strict reading."""
    framed = build("2.2").to_mllp().replace("|2.2", f"|{version}")
    answer = parse_message(ask_as_hl7apy(listener.port, framed))
    assert (answer.version, answer.msh.msh_9.value) == (version, "ACK")
    assert answer.msa.msa_1.value == "AA"
    assert answer.msa.msa_2.value == "H1"


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"])
def test_hl7apy_accepts_our_answer_of_every_version(listener, version):
    text = ask_as_hl7apy(listener.port, build(version).to_mllp())
    answer = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert answer.version == version
    assert answer.msa.msa_1.value == "AA"
    assert answer.msa.msa_2.value == "H1"
    assert answer.validate()


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.5.1", "2.6"])
def test_hl7apy_accepts_our_refusal(listener, version):
    framed = build(version).to_mllp().replace("|P|", "|X|")
    text = ask_as_hl7apy(listener.port, framed)
    answer = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert answer.msa.msa_1.value == "AR"
    condition = answer.err.err_3.err_3_1 if version >= "2.5" else answer.err.err_1
    assert "202" in condition.to_er7()
    assert answer.validate()


# -- we send --------------------------------------------------------------------------


@contextmanager
def python_hl7_server(answer_with="AA"):
    """python-hl7's asyncio MLLP server on a free port; yields the port and what it
    heard."""
    loop, heard = asyncio.new_event_loop(), []

    async def serve(reader, writer):
        try:
            while True:
                got = await reader.readmessage()
                heard.append(str(got))
                writer.writemessage(got.create_ack(answer_with))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = loop.run_until_complete(
        start_hl7_server(serve, host="127.0.0.1", port=0, encoding="utf-8")
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def test_our_sender_to_python_hl7():
    with python_hl7_server() as (port, heard):
        with Sender("127.0.0.1", port, QUICK) as sender:
            for number in range(10):
                outcome = sender.send(message(f"C{number}").encode())
                assert (outcome.kind, outcome.ack_code) == ("acked", "AA")
    assert heard == [message(f"C{number}") for number in range(10)]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AE", "nak_ae"), ("AR", "nak_ar"), ("CA", "acked"), ("CE", "nak_ae")],
)
def test_our_sender_understands_every_answer_of_python_hl7(code, kind):
    with python_hl7_server(code) as (port, _heard):
        assert send("127.0.0.1", port, message().encode(), QUICK).kind == kind


def test_our_sender_to_hl7apy():
    heard = []

    class Handler(AbstractHandler):
        def reply(self):
            heard.append(self.incoming_message)
            got = parse_message(self.incoming_message, find_groups=False)
            answer = Message("ACK", version="2.5.1")
            answer.msa.msa_1, answer.msa.msa_2 = "AA", got.msh.msh_10.value
            return answer.to_mllp()

    server = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Handler,)}, timeout=5)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        assert send("127.0.0.1", port, message().encode(), QUICK).kind == "acked"
        # it hangs up on types that it has no handler for
        other = message(kind="ADT^A01^ADT_A01").encode()
        assert send("127.0.0.1", port, other, QUICK).delivery == "unknown"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert heard == [message()]
