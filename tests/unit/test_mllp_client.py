"""The sender: what happened to a message, and how sure that is."""

import socket
import threading
import time

import pytest
from health_connector_hl7.lib.errors import Er7Error
from health_connector_hl7.lib.mllp import wrap
from health_connector_hl7.lib.mllp_client import Sender, Timeouts, judge, send
from loopback import Loopback

MESSAGE = b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|2026||OML^O21|C1|P|2.5.1\rPID|1\r"
ACK = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ACK|X|P|2.5.1\rMSA|AA|C1\r"
QUICK = Timeouts(1.0, 1.0, 0.4)


class Partner:
    """A partner's port that does exactly what a test says."""

    def __init__(self, *steps):
        self.steps = steps
        self.heard = []
        self.accepted = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.listening.close()
        self.thread.join(5)

    def serve(self):
        for step in self.steps:
            try:
                connection, _address = self.listening.accept()
            except OSError:
                return
            self.accepted += 1
            with connection:
                step(self, connection)

    def hear(self, connection):
        data = b""
        while not data.endswith(b"\x1c\r"):
            data += connection.recv(65536)
        self.heard.append(data)


def answers(*replies):
    """Answer one message after the other on one connection."""

    def step(partner, connection):
        for reply in replies:
            partner.hear(connection)
            connection.sendall(reply)
        time.sleep(0.05)

    return step


def ask(*steps, timeouts=QUICK, message=MESSAGE):
    with Partner(*steps) as partner:
        return send("127.0.0.1", partner.port, message, timeouts)


def test_a_positive_answer():
    outcome = ask(answers(wrap(ACK)))
    assert (outcome.kind, outcome.ack_code, outcome.answer) == ("acked", "AA", ACK)
    assert outcome.delivery == "delivered"
    assert outcome.error_class == ""


def test_a_commit_answer_is_positive():
    assert ask(answers(wrap(ACK.replace(b"AA", b"CA")))).kind == "acked"


@pytest.mark.parametrize(
    ("code", "error", "kind", "conditions", "error_class"),
    [
        (b"AE", b"ERR||PID^1^3|204^Unknown^HL70357|E\r", "nak_ae", "204", "rejected"),
        (b"AE", b"ERR|||207^Internal^HL70357|E\r", "nak_ae", "207", "transient"),
        (b"CE", b"ERR|PID^1^3^206&Locked&HL70357\r", "nak_ae", "206", "transient"),
        (b"AE", b"", "nak_ae", None, "rejected"),
        (b"AR", b"ERR|||207^Internal^HL70357|E\r", "nak_ar", "207", "rejected"),
        (b"CR", b"", "nak_ar", None, "rejected"),
    ],
)
def test_negative_answers_are_known_outcomes(
    code, error, kind, conditions, error_class
):
    outcome = judge(ACK.replace(b"|AA|", b"|%b|" % code) + error, "C1")
    assert outcome.kind == kind
    assert outcome.conditions == ((conditions,) if conditions else ())
    assert outcome.delivery == "rejected"
    assert outcome.error_class == error_class


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = send("127.0.0.1", port, MESSAGE, QUICK)
    assert (outcome.kind, outcome.delivery) == ("no_connect", "not_delivered")
    assert outcome.error_class == "transient"


def test_a_host_that_does_not_exist():
    assert send("no-such-host.invalid", 1, MESSAGE, QUICK).kind == "no_connect"
    assert send("", 0, MESSAGE, QUICK).kind == "no_connect"


def test_no_answer_in_time_is_unknown():
    def silent(partner, connection):
        partner.hear(connection)
        time.sleep(0.6)

    outcome = ask(silent)
    assert (outcome.kind, outcome.delivery) == ("timeout", "unknown")


def test_an_answer_in_drops_does_not_stretch_the_time():
    def slow(partner, connection):
        partner.hear(connection)
        for byte in wrap(ACK):
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)

    started = time.monotonic()
    assert ask(slow).kind == "timeout"
    assert time.monotonic() - started < 2


def test_hanging_up_without_an_answer_is_unknown():
    outcome = ask(lambda partner, connection: partner.hear(connection))
    assert (outcome.kind, outcome.detail) == ("timeout", "closed")


def test_hanging_up_in_the_middle_of_the_answer_is_unknown():
    outcome = ask(answers(wrap(ACK)[:30]))
    assert (outcome.kind, outcome.delivery) == ("unparsable", "unknown")


def test_an_answer_without_the_last_cr_counts():
    assert ask(answers(wrap(ACK)[:-1])).kind == "acked"


def test_hanging_up_in_the_middle_of_the_message_is_unknown():
    def hang_up(partner, connection):
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    large = MESSAGE + b"OBX|1|ED|" + b"A" * 20_000_000 + b"\r"
    outcome = ask(hang_up, message=large)
    assert (outcome.kind, outcome.delivery) == ("partial_write", "unknown")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ACK.replace(b"C1", b"C2"), "mismatched"),
        (ACK.replace(b"|C1", b"|"), "mismatched"),
        (b"MSH|^~\\&|LAB\r", "unparsable"),
        (b"OK", "unparsable"),
        (b"", "unparsable"),
        (b"\x06", "unparsable"),
        (ACK.replace(b"|AA|", b"|YES|"), "unparsable"),
        (ACK + b"MSA|AA|C1\r", "unparsable"),
        (ACK + ACK, "unparsable"),
        (ACK.replace(b"MSA|", b"MSX|"), "unparsable"),
    ],
)
def test_an_answer_that_is_none_leaves_it_unknown(answer, kind):
    outcome = ask(answers(wrap(answer)))
    assert (outcome.kind, outcome.delivery) == (kind, "unknown")
    assert outcome.error_class == "transient"


def test_an_endless_answer_is_cut():
    outcome = ask(answers(b"\x0b" + b"x" * 2_000_000), timeouts=Timeouts(1.0, 1.0, 3.0))
    assert (outcome.kind, outcome.detail) == ("unparsable", "too_long")


def test_a_message_that_cannot_be_answered_is_not_sent():
    with pytest.raises(Er7Error):
        send("127.0.0.1", 1, b"PID|1\r", QUICK)
    with pytest.raises(Er7Error):
        send("127.0.0.1", 1, MESSAGE.replace(b"C1", b""), QUICK)


def test_the_outcome_shows_no_content():
    assert b"C1" in judge(ACK, "C1").answer
    assert "MSA" not in repr(judge(ACK, "C1"))


def second(message=b"C2"):
    return MESSAGE.replace(b"C1", message), ACK.replace(b"C1", message)


def test_a_connection_is_kept_between_messages():
    message, ack = second()
    with Partner(answers(wrap(ACK), wrap(ack))) as partner:
        with Sender("127.0.0.1", partner.port, QUICK) as sender:
            assert sender.send(MESSAGE).kind == "acked"
            assert sender.send(message).kind == "acked"
        assert partner.accepted == 1


def test_a_late_answer_is_never_credited_to_the_next_message():
    def late(partner, connection):
        partner.hear(connection)
        time.sleep(0.6)
        try:
            connection.sendall(wrap(ACK))
        except OSError:
            pass

    with Partner(late, answers(wrap(ACK))) as partner:
        with Sender("127.0.0.1", partner.port, QUICK) as sender:
            assert sender.send(MESSAGE).kind == "timeout"
            assert sender.send(MESSAGE).kind == "acked"
        assert partner.accepted == 2
        assert partner.heard == [wrap(MESSAGE)] * 2


def test_an_answer_too_many_closes_the_connection():
    message, ack = second()
    with Partner(answers(wrap(ACK) + wrap(ack)), answers(wrap(ack))) as partner:
        with Sender("127.0.0.1", partner.port, QUICK) as sender:
            assert sender.send(MESSAGE).kind == "acked"
            assert sender.send(message).kind == "acked"
        assert partner.accepted == 2


def test_a_connection_that_the_partner_closed_is_opened_again():
    message, ack = second()
    with Partner(answers(wrap(ACK)), answers(wrap(ack))) as partner:
        with Sender("127.0.0.1", partner.port, QUICK) as sender:
            assert sender.send(MESSAGE).kind == "acked"
            time.sleep(0.2)
            assert sender.send(message).kind == "acked"


def test_our_sender_and_our_listener():
    with Loopback() as listener:
        assert send("127.0.0.1", listener.port, MESSAGE, QUICK).kind == "acked"
        assert send("127.0.0.1", listener.port, MESSAGE, QUICK).kind == "acked"
        other = send("127.0.0.1", listener.port, MESSAGE + b"NTE|1\r", QUICK)
    assert (other.kind, other.conditions) == ("nak_ae", ("205",))
    assert len(listener.store.units) == 2
