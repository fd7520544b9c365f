"""Acknowledgements, byte for byte."""

from datetime import datetime

import pytest
from health_connector_hl7.lib import ack
from health_connector_hl7.lib.ack import ERROR, REJECT, Envelope, Mode, Problem

STAMP = datetime(2026, 3, 9, 7, 5, 1, 999999)
KEY = "ABCDEFGHIJKLMNOPQRST"


def answer(header: bytes, problem: Problem | None = None) -> bytes:
    return ack.acknowledge(Envelope(header + b"\rPID|1\r"), STAMP, KEY, problem)


def test_a_message_of_2_5_1_is_accepted_in_original_mode():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01^ORU_R01|C1|P|2.5.1"
    assert answer(header) == (
        b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||ACK^R01^ACK|"
        b"ABCDEFGHIJKLMNOPQRST|P|2.5.1\r"
        b"MSA|AA|C1\r"
    )


def test_enhanced_mode_answers_the_commit_and_repeats_the_charset():
    header = (
        b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01^ORU_R01|C1|T^A|2.6|||AL|NE||"
        b"UNICODE UTF-8~ISO IR87"
    )
    assert answer(header) == (
        b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||ACK^R01^ACK|"
        b"ABCDEFGHIJKLMNOPQRST|T^A|2.6||||||UNICODE UTF-8~ISO IR87\r"
        b"MSA|CA|C1\r"
    )


def test_before_2_4_the_message_type_is_plain_ack():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01|C1|P|2.3.1"
    assert answer(header) == (
        b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||ACK|"
        b"ABCDEFGHIJKLMNOPQRST|P|2.3.1\r"
        b"MSA|AA|C1\r"
    )


def test_an_error_from_2_5_on_has_its_place_code_and_severity():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01^ORU_R01|C1|P|2.5"
    assert answer(header, Problem(205, ERROR, "MSH", 10, "Used before")) == (
        b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||ACK^R01^ACK|"
        b"ABCDEFGHIJKLMNOPQRST|P|2.5\r"
        b"MSA|AE|C1\r"
        b"ERR||MSH^1^10|205^Duplicate key identifier^HL70357|E||||Used before\r"
    )


def test_an_error_before_2_5_has_everything_in_err_1_and_the_hint_in_msa_3():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01|C1|P|2.3"
    assert answer(header, Problem(101, REJECT, "MSH", 10, "Number it")) == (
        b"MSH|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||ACK|"
        b"ABCDEFGHIJKLMNOPQRST|P|2.3\r"
        b"MSA|AR|C1|Number it\r"
        b"ERR|MSH^1^10^101&Required field missing&HL70357\r"
    )


def test_an_error_without_a_place_keeps_the_layout():
    header = b"MSH|^~\\&|A|B|C|D|20260309||ORU^R01|C1|P|"
    assert b"\rERR|||207^Application internal error^HL70357|E\r" in answer(
        header + b"2.5", Problem(207, ERROR)
    )
    assert b"\rERR|^^^207&Application internal error&HL70357\r" in answer(
        header + b"2.4", Problem(207, ERROR)
    )


def test_the_senders_own_delimiters_are_used():
    header = b"MSH#!~\\$#LAB!L#MAIN#ODOO#HOSP#20260309##ORU!R01!ORU_R01#C1#P#2.5"
    assert answer(header, Problem(203, REJECT, "MSH", 12)) == (
        b"MSH#!~\\$#ODOO#HOSP#LAB!L#MAIN#20260309070501+0000##ACK!R01!ACK#"
        b"ABCDEFGHIJKLMNOPQRST#P#2.5\r"
        b"MSA#AR#C1\r"
        b"ERR##MSH!1!12#203!Unsupported version id!HL70357#E\r"
    )


def test_names_in_any_charset_come_back_as_the_same_bytes():
    header = b"MSH|^~\\&|L\xe4b|\xd0\x9b|\xff|D|2026||ORU^R01|C\xe91|P|2.5"
    assert answer(header).startswith(b"MSH|^~\\&|\xff|D|L\xe4b|\xd0\x9b|2026030907")
    assert answer(header).endswith(b"\rMSA|AA|C\xe91\r")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PID|1||SECRET^^^HOSP^MR||DOE^JANE",
        b"GET / HTTP/1.1",
        b"MSH",
        b"MSH\x00\x01\x02",
        b"MSHABC",
        b"\xff\xfeM\x00S\x00H\x00",
    ],
)
def test_without_a_readable_header_a_whole_answer_is_made_all_the_same(raw):
    got = ack.acknowledge(Envelope(raw), STAMP, KEY, Problem(100))
    assert got == (
        b"MSH|^~\\&|||||20260309070501+0000||ACK|ABCDEFGHIJKLMNOPQRST|P|2.5\r"
        b"MSA|AR|\r"
        b"ERR|||100^Segment sequence error^HL70357|E\r"
    )


def test_a_byte_order_mark_or_blank_lines_do_not_hide_the_header():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01|C1|P|2.5"
    assert answer(b"\xef\xbb\xbf" + header) == answer(b"\r\n" + header)
    assert b"\rMSA|AA|C1\r" in answer(b"\xef\xbb\xbf" + header)


def test_trailing_blanks_are_not_part_of_a_field():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01|C1 |P|2.5.1   "
    assert answer(header).endswith(b"|P|2.5.1\rMSA|AA|C1\r")


@pytest.mark.parametrize(
    ("accept", "application", "success", "failure"),
    [
        # original mode
        ("", "", "AA", "AE"),
        # enhanced: the commit answer by MSH-15
        ("AL", "", "CA", "CE"),
        ("AL", "NE", "CA", "CE"),
        ("AL", "AL", "CA", "CE"),
        ("ER", "AL", "", "CE"),
        ("SU", "NE", "CA", ""),
        ("NE", "NE", "", ""),
        ("NE", "", "", ""),
        ("", "NE", "", ""),
        # no commit answer: the application answer by MSH-16; NE/AL is original mode
        ("NE", "AL", "AA", "AE"),
        ("", "AL", "AA", "AE"),
        ("NE", "ER", "", "AE"),
        ("NE", "SU", "AA", ""),
        # not in table 0155
        ("XX", "", "CA", "CE"),
    ],
)
def test_who_gets_an_answer(accept, application, success, failure):
    header = (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01|C1|P|2.5|||{accept}|{application}"
    ).encode()
    expected = {False: success, True: failure}
    for failed, code in expected.items():
        got = answer(header, Problem(207, ERROR) if failed else None)
        assert (f"\rMSA|{code}|C1\r".encode() in got) if code else got == b""


def test_a_rejection_in_enhanced_mode_is_cr():
    header = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01|C1|P|2.5|||AL"
    assert b"\rMSA|CR|C1\r" in answer(header, Problem(200, REJECT, "MSH", 9))


def test_mode_wants():
    assert Mode("C", True, False).wants(ack.ACCEPT)
    assert not Mode("C", True, False).wants(ERROR)


def test_the_key_repeats_with_the_message_and_fits_every_version():
    assert ack.key_of("a" * 32) == ack.key_of("a" * 32)
    assert ack.key_of("a" * 32) != ack.key_of("b" * 32)
    assert len(ack.key_of("a" * 32)) == 20
    assert ack.key_of("a" * 32).isalnum()
    assert ack.fresh_key() != ack.fresh_key()


def test_a_batch_answer_names_the_batch_and_counts_the_answers():
    header = Envelope(b"BHS|^~\\&|LAB|MAIN|ODOO|HOSP|2026||||B7\rMSH|...")
    assert ack.batch_reply(header, [b"MSH|1\r", b"MSH|2\r"], STAMP, KEY) == (
        b"BHS|^~\\&|ODOO|HOSP|LAB|MAIN|20260309070501+0000||||"
        b"ABCDEFGHIJKLMNOPQRST|B7\r"
        b"MSH|1\r"
        b"MSH|2\r"
        b"BTS|2\r"
    )
