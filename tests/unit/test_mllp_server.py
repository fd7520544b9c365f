"""The listener over real sockets, with a store in memory."""

import logging
import socket
import threading
import time

import pytest
from health_connector_hl7.lib.ack import ERROR, Problem
from health_connector_hl7.lib.connection import Limits
from health_connector_hl7.lib.door import Flow
from health_connector_hl7.lib.mllp import wrap
from loopback import Loopback, Peer

BODY = "PID|1||MRN1^^^HOSP^MR||DOE^JANE\rORC|RE|ORD-1\rOBR|1|ORD-1\rOBX|1|NM|718-7\r"


def message(control_id="C1", kind="ORU^R01^ORU_R01", body=BODY, **fields) -> bytes:
    values = {"processing": "P", "version": "2.5.1", "ack": "", "charset": ""}
    values |= fields
    return (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||{kind}|{control_id}"
        f"|{values['processing']}|{values['version']}|||{values['ack']}|||"
        f"{values['charset']}\r{body}"
    ).encode()


def msa(answer: bytes | None) -> list[str]:
    """MSA-1 and MSA-2, and the code of table 0357 when there is an ERR."""
    assert answer is not None
    segments = [line.split("|") for line in answer.decode().rstrip("\r").split("\r")]
    found = [segment[1:3] for segment in segments if segment[0] == "MSA"][0]
    errors = [segment for segment in segments if segment[0] == "ERR"]
    return found + [error[3].split("^")[0] for error in errors]


@pytest.fixture
def listener():
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def peer(listener):
    with Peer(listener.port) as client:
        yield client


# -- store and acknowledge ----------------------------------------------------------


def test_a_message_is_stored_as_it_came_then_acknowledged(listener, peer):
    raw = message()
    assert msa(peer.ask(raw)) == ["AA", "C1"]
    [unit] = listener.store.units
    assert unit.raw == raw
    assert unit.channel == "any"
    assert unit.message_type == "ORU^R01"
    assert unit.external_ref == "C1"
    assert unit.charset == ""
    assert unit.content_type == "application/hl7-v2"


def test_no_acknowledgement_before_the_commit(listener, peer):
    listener.store.gate.clear()
    peer.send(wrap(message()))
    assert peer.hears_nothing()
    listener.store.gate.set()
    assert msa(peer.receive()) == ["AA", "C1"]


def test_no_acknowledgement_before_it_is_on_disk(listener, peer):
    listener.store.flush_gate.clear()
    peer.send(wrap(message()))
    assert peer.hears_nothing()
    assert len(listener.store.units) == 1
    listener.store.flush_gate.set()
    assert msa(peer.receive()) == ["AA", "C1"]


def test_the_next_messages_are_stored_while_the_disk_works(listener):
    listener.store.flush_gate.clear()
    with Peer(listener.port) as first, Peer(listener.port) as second:
        first.send(wrap(message("C1")))
        assert first.hears_nothing()
        second.send(wrap(message("C2")))
        assert second.hears_nothing()
        assert len(listener.store.units) == 2
        listener.store.flush_gate.set()
        assert msa(first.receive()) == ["AA", "C1"]
        assert msa(second.receive()) == ["AA", "C2"]


def test_what_may_be_lost_is_not_promised(listener, peer):
    listener.store.lost = True
    assert msa(peer.ask(message())) == ["AE", "C1", "207"]
    listener.store.lost = False
    assert msa(peer.ask(message())) == ["AA", "C1"]
    assert len(listener.store.units) == 1


def test_what_arrives_during_a_commit_is_stored_by_the_next_one(listener):
    listener.store.gate.clear()
    peers = [Peer(listener.port) for _ in range(9)]
    for number, client in enumerate(peers):
        client.send(wrap(message(f"C{number}")))
        time.sleep(0.03 if number == 0 else 0)
    time.sleep(0.2)
    listener.store.gate.set()
    for number, client in enumerate(peers):
        assert msa(client.receive()) == ["AA", f"C{number}"]
    assert listener.store.batches == [1, 8]


def test_a_duplicate_gets_the_first_answer_byte_for_byte(listener, peer):
    first = peer.ask(message())
    time.sleep(1.1)  # a stamp of the second answer's own would differ by now
    with Peer(listener.port) as other:
        assert other.ask(message()) == first
    assert len(listener.store.units) == 1


def test_a_used_control_id_with_other_content_is_refused_but_kept(listener, peer):
    peer.ask(message())
    assert msa(peer.ask(message(body=BODY + "NTE|1\r"))) == ["AE", "C1", "205"]
    assert len(listener.store.units) == 2


def test_the_answers_come_in_the_order_of_the_frames(listener, peer):
    raws = [message(f"C{number}") for number in range(100)]
    peer.send(b"".join(map(wrap, raws)))
    got = [msa(peer.receive())[1] for _ in raws]
    assert got == [f"C{number}" for number in range(100)]
    assert [unit.external_ref for unit in listener.store.units] == got


def test_a_refusal_waits_for_its_turn(listener, peer):
    listener.store.gate.clear()
    peer.send(wrap(message("C1")) + wrap(b"PID|1\r") + wrap(message("C3")))
    assert peer.hears_nothing()
    listener.store.gate.set()
    assert [msa(peer.receive())[1] for _ in range(3)] == ["C1", "", "C3"]


# -- modes --------------------------------------------------------------------------


def test_enhanced_mode_answers_ca(peer):
    assert msa(peer.ask(message(ack="AL"))) == ["CA", "C1"]


def test_who_wants_no_answer_gets_none_and_is_stored(listener, peer):
    peer.send(wrap(message(ack="NE")))
    assert peer.hears_nothing()
    assert len(listener.store.units) == 1


def test_an_acknowledgement_is_never_acknowledged(listener, peer):
    ack = message(kind="ACK^R01^ACK", body="MSA|AA|X1\r")
    peer.send(wrap(ack) + wrap(b"MSH|^~\\&|LAB|||||ACK|1\rMSA|AE|X1\r"))
    assert peer.hears_nothing()
    assert listener.store.units == []


def test_a_response_is_stored_and_gets_only_the_commit_answer_it_asks_for(
    listener, peer
):
    body = "MSA|AA|X1\rPID|1\r"
    peer.send(wrap(message(kind="ORL^O22^ORL_O22", body=body)))
    assert peer.hears_nothing()
    raw = message("C2", kind="ORL^O22^ORL_O22", body=body, ack="AL")
    assert msa(peer.ask(raw)) == ["CA", "C2"]
    assert len(listener.store.units) == 2


# -- refused at the door ------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"PID|1||X\r", ["AR", "", "100"]),
        (b"GET / HTTP/1.1\r\n\r\n", ["AR", "", "100"]),
        (message(control_id=""), ["AR", "", "101"]),
        (message(kind=""), ["AR", "C1", "101"]),
        (message(version=""), ["AR", "C1", "101"]),
        (message(version="3.0"), ["AR", "C1", "203"]),
        (message(version="2.5.1X"), ["AR", "C1", "203"]),
        (message(processing="X"), ["AR", "C1", "202"]),
        (message(body=""), ["AE", "C1", "100"]),
        (message(body="PID|1\rMSH|^~\\&|LAB\r"), ["AR", "C1", "100"]),
        (message(body="PID|1\nMSH|^~\\&|LAB\r"), ["AR", "C1", "100"]),
        (message(body="PID|1\rDSC|77|F\r"), ["AR", "C1", "100"]),
        (message(charset="KLINGON"), ["AE", "C1", "103"]),
        (message() + b"NTE|1||M\xfcller\r", ["AE", "C1", "102"]),
        (message(charset="UNICODE UTF-8") + b"NTE|1||\xfc\r", ["AE", "C1", "102"]),
        (message().decode().encode("utf-16"), ["AR", "", "102"]),
        (b"MSH|^~\\&|LAB\r", ["AR", "", "101"]),
        (b"MSH", ["AR", "", "102"]),
    ],
)
def test_refused_with_the_right_answer(listener, peer, raw, expected):
    assert msa(peer.ask(raw)) == expected
    assert listener.store.units == []
    assert msa(peer.ask(message("C9"))) == ["AA", "C9"], "the connection goes on"


def test_umlauts_are_welcome_in_the_declared_charset(listener, peer):
    raw = message(charset="8859/1") + b"NTE|1||M\xfcller\r"
    assert b"||||||8859/1\rMSA|AA" in peer.ask(raw)
    assert listener.store.units[0].charset == "8859/1"


def test_an_agreed_charset_wins_over_the_declared_one():
    with Loopback([Flow("any", charset="8859/1")]) as listener:
        with Peer(listener.port) as peer:
            raw = message(charset="UNICODE UTF-8") + b"NTE|1||M\xfcller\r"
            assert msa(peer.ask(raw)) == ["AA", "C1"]


def test_messages_find_their_interface_by_type():
    flows = [
        Flow("results", frozenset({"ORU^R01", "ORU^R30"}), production=True),
        Flow("patients", frozenset({"ADT"}), order_key_source="PID-3-1"),
        Flow("paused", frozenset({"SIU^S12"}), open=False),
    ]
    with Loopback(flows) as listener, Peer(listener.port) as peer:
        assert msa(peer.ask(message("1"))) == ["AA", "1"]
        assert msa(peer.ask(message("2", "ADT^A08"))) == ["AA", "2"]
        assert msa(peer.ask(message("3", "ORU^W01"))) == ["AR", "3", "201"]
        assert msa(peer.ask(message("4", "MDM^T02"))) == ["AR", "4", "200"]
        assert msa(peer.ask(message("5", "SIU^S12"))) == ["AE", "5", "207"]
        assert msa(peer.ask(message("6", processing="T"))) == ["AR", "6", "202"]
        assert msa(peer.ask(message("7", "ADT^A08", processing="T"))) == ["AA", "7"]
        units = listener.store.units
    assert [unit.channel for unit in units] == ["results", "patients", "patients"]
    assert [unit.order_key for unit in units] == ["", "MRN1", "MRN1"]


def test_an_explicit_interface_may_take_acknowledgements_silently():
    with Loopback([Flow("acks", frozenset({"ACK"}))]) as listener:
        with Peer(listener.port) as peer:
            peer.send(wrap(message(kind="ACK^R01^ACK", body="MSA|AA|X1\r", ack="AL")))
            assert peer.hears_nothing()
        assert len(listener.store.units) == 1


# -- batches ------------------------------------------------------------------------


def batch(*messages: bytes, count: int | None = None) -> bytes:
    declared = len(messages) if count is None else count
    return (
        b"FHS|^~\\&|LAB|MAIN|ODOO|HOSP|2026||||F1\r"
        b"BHS|^~\\&|LAB|MAIN|ODOO|HOSP|2026||||B1\r"
        + b"".join(messages)
        + b"BTS|%d\rFTS|1\r" % declared
    )


def test_a_batch_is_stored_message_by_message_and_answered_as_a_batch(listener, peer):
    raw = batch(message("C1"), message("C2", version="9"), message("C3"))
    lines = peer.ask(raw).decode().rstrip("\r").split("\r")
    codes = [line.split("|")[:3] for line in lines if line.startswith("MSA")]
    assert lines[0].startswith("BHS|^~\\&|ODOO|HOSP|LAB|MAIN|")
    assert codes == [["MSA", "AA", "C1"], ["MSA", "AR", "C2"], ["MSA", "AA", "C3"]]
    assert lines[-1] == "BTS|3"
    assert [unit.raw for unit in listener.store.units] == [message("C1"), message("C3")]


def test_a_batch_with_a_wrong_count_is_not_stored_at_all(listener, peer):
    answer = peer.ask(batch(message("C1"), message("C2"), count=3)).decode()
    assert answer.count("\rMSA|AE|") == 2
    assert listener.store.units == []


def test_a_batch_without_its_trailer_is_not_stored_at_all(listener, peer):
    answer = peer.ask(batch(message("C1"), message("C2"))[:-12]).decode()
    assert answer.count("\rMSA|AE|") == 2
    assert listener.store.units == []


def test_a_batch_that_cannot_be_cut_is_refused_by_its_own_number(listener, peer):
    raw = b"BHS|^~\\&|LAB|MAIN|ODOO|HOSP|2026||||B1\rPID|1\rBTS|0\r"
    assert msa(peer.ask(raw)) == ["AE", "B1", "100"]


def test_an_empty_batch_gets_an_empty_answer(peer):
    answer = peer.ask(batch()).decode().split("\r")
    assert answer[0].startswith("BHS|") and answer[1] == "BTS|0"


def test_a_repeated_batch_gets_the_same_answer(peer):
    raw = batch(message("C1"), message("C2"))
    first = peer.ask(raw)
    time.sleep(1.1)
    assert peer.ask(raw) == first


# -- the store fails ----------------------------------------------------------------


def test_without_store_nothing_is_promised(listener, peer):
    listener.store.down = True
    assert msa(peer.ask(message())) == ["AE", "C1", "207"]
    assert msa(peer.ask(message("C2", ack="AL"))) == ["CE", "C2", "207"]
    listener.store.down = False
    assert msa(peer.ask(message())) == ["AA", "C1"]


def test_without_store_the_policy_may_be_silence():
    with Loopback([Flow("any", outage="close")]) as listener:
        listener.store.down = True
        with Peer(listener.port) as peer:
            assert peer.ask(message()) is None
        listener.store.down = False
        with Peer(listener.port) as peer:
            assert msa(peer.ask(message())) == ["AA", "C1"]


def test_one_poisoned_message_does_not_fail_its_neighbours(listener, peer):
    listener.store.poison = lambda unit: unit.external_ref == "C2"
    peer.send(b"".join(wrap(message(f"C{number}")) for number in (1, 2, 3)))
    assert [msa(peer.receive())[0] for _ in range(3)] == ["AA", "AE", "AA"]


def test_a_bug_in_the_store_is_a_negative_answer_and_no_content_in_the_log(
    listener, peer, caplog
):
    def fail(unit):
        raise RuntimeError(f"cannot store {unit.raw!r}")

    listener.store.poison = fail
    with caplog.at_level(logging.DEBUG):
        assert msa(peer.ask(message())) == ["AE", "C1", "207"]
    assert "RuntimeError" in caplog.text
    assert "DOE" not in caplog.text and "MRN1" not in caplog.text


# -- answers after processing -------------------------------------------------------


@pytest.fixture
def patient():
    flow = Flow("any", answer_after="application", answer_seconds=1.0)
    with Loopback([flow]) as loopback:
        yield loopback


def test_the_answer_waits_for_the_processing(patient):
    with Peer(patient.port) as peer:
        peer.send(wrap(message()))
        assert peer.hears_nothing()
        patient.store.ended[1] = None
        first = peer.receive()
        assert msa(first) == ["AA", "C1"]
        assert peer.ask(message()) == first


def test_a_failed_processing_is_a_negative_answer(patient):
    patient.store.ended[1] = Problem(204, ERROR)
    with Peer(patient.port) as peer:
        assert msa(peer.ask(message())) == ["AE", "C1", "204"]


def test_no_false_promise_when_the_time_is_up(patient):
    with Peer(patient.port) as peer:
        assert msa(peer.ask(message())) == ["AE", "C1", "207"]


def test_a_commit_answer_never_waits(patient):
    with Peer(patient.port) as peer:
        assert msa(peer.ask(message(ack="AL"))) == ["CA", "C1"]


# -- settings change, the listener stops ----------------------------------------------


def test_new_settings_are_seen_by_open_connections(listener, peer):
    assert msa(peer.ask(message("C1"))) == ["AA", "C1"]
    listener.set_flows([Flow("adt", frozenset({"ADT"}))])
    assert msa(peer.ask(message("C2"))) == ["AR", "C2", "200"]


def test_a_port_without_interface_is_closed(listener, peer):
    assert msa(peer.ask(message("C1"))) == ["AA", "C1"]
    listener.set_flows([])
    assert peer.receive() is None
    with pytest.raises(ConnectionRefusedError):
        Peer(listener.port)


def test_stopping_answers_what_is_in_work_and_takes_no_more():
    with Loopback() as listener:
        listener.store.gate.clear()
        with Peer(listener.port) as working, Peer(listener.port) as half:
            working.send(wrap(message()))
            half.send(wrap(message("C2"))[:40])
            time.sleep(0.2)
            stopping = threading.Thread(
                target=lambda: listener.run(listener.server.stop())
            )
            stopping.start()
            assert half.receive() is None
            assert working.hears_nothing()
            listener.store.gate.set()
            assert msa(working.receive()) == ["AA", "C1"]
            assert working.receive() is None
            stopping.join(5)
        assert [unit.external_ref for unit in listener.store.units] == ["C1"]


# -- connections ----------------------------------------------------------------------


def test_a_peer_that_half_closes_still_gets_its_answer(listener):
    with Peer(listener.port) as peer:
        peer.send(wrap(message()))
        peer.socket.shutdown(socket.SHUT_WR)
        assert msa(peer.receive()) == ["AA", "C1"]
        assert peer.receive() is None


def test_a_frame_without_its_last_byte_is_complete_when_the_peer_half_closes(listener):
    with Peer(listener.port) as peer:
        peer.send(wrap(message())[:-1])
        peer.socket.shutdown(socket.SHUT_WR)
        assert msa(peer.receive()) == ["AA", "C1"]


def test_the_cr_after_the_frame_may_be_missing(peer):
    peer.send(wrap(message())[:-1])
    assert msa(peer.receive()) == ["AA", "C1"]


def test_an_empty_frame_is_ignored(peer):
    peer.send(wrap(b"") + wrap(b"\r") + wrap(message()))
    assert msa(peer.receive()) == ["AA", "C1"]


def test_the_longest_silence_makes_room_when_all_places_are_taken():
    with Loopback(limits=Limits(connections=2, make_room=0.2)) as listener:
        with Peer(listener.port) as silent, Peer(listener.port) as busy:
            assert msa(busy.ask(message("C1"))) == ["AA", "C1"]
            with Peer(listener.port) as early:
                assert early.receive() is None, "nobody was silent long enough"
            time.sleep(0.3)
            assert msa(busy.ask(message("C2"))) == ["AA", "C2"]
            with Peer(listener.port) as late:
                assert msa(late.ask(message("C3"))) == ["AA", "C3"]
                assert silent.receive() is None
                assert msa(busy.ask(message("C4"))) == ["AA", "C4"]


def test_an_idle_connection_is_closed():
    with Loopback(limits=Limits(idle=0.3)) as listener, Peer(listener.port) as peer:
        assert peer.receive() is None
        assert listener.server.counts["closed.idle"] == 1
