"""The header as a gateway reads it, before any parse."""

from pathlib import Path

import pytest
from health_connector_hl7.lib import msh
from health_connector_hl7.lib.msh import Er7Error, check, order_key, peek

SAMPLES = Path(__file__).parents[1] / "samples" / "hl7v2"
MSH = b"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20261122081500||ORU^R01^ORU_R01|C1|P|2.5.1"
REST = b"\rORC|RE|ORD-1^ODOO|LAB-77\rOBR|1|ORD-2^ODOO|LAB-77\r"


def sample(name):
    return (SAMPLES / f"{name}.hl7").read_bytes()


def refusal(function, *args):
    with pytest.raises(Er7Error) as caught:
        function(*args)
    return caught.value


def test_every_field_of_the_header():
    raw = MSH + b"|7||AL|NE||8859/1~UNICODE UTF-8\rPID|1"
    header = peek(raw)
    assert (header.field_sep, header.encoding_chars) == ("|", "^~\\&")
    assert (header.sending_app, header.sending_fac) == ("LAB", "MAIN")
    assert (header.receiving_app, header.receiving_fac) == ("ODOO", "HOSP")
    assert header.datetime == "20261122081500"
    assert header.message_type == "ORU^R01"
    assert (header.message_code, header.trigger) == ("ORU", "R01")
    assert header.structure == "ORU_R01"
    assert (header.control_id, header.processing_id) == ("C1", "P")
    assert (header.version, header.sequence) == ("2.5.1", "7")
    assert (header.accept_ack, header.application_ack) == ("AL", "NE")
    assert header.charset == "8859/1"
    assert header.charsets == "8859/1~UNICODE UTF-8"


def test_a_short_header_is_read_with_empty_fields():
    header = peek(sample("msh_short"))
    assert header.sending_app == "LAB"
    assert header.control_id == header.message_type == header.charset == ""


def test_only_the_first_segment_is_looked_at():
    assert peek(MSH + b"\r\xff\x00\x0b garbage").control_id == "C1"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n", b"\xef\xbb\xbf\r"])
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b""])
def test_byte_order_mark_and_line_ends_are_tolerated(start, end):
    assert peek(start + MSH + end).version == "2.5.1"


def test_bytes_that_are_no_ascii_come_back_unchanged():
    raw = MSH.replace(b"LAB", "Größe".encode())
    assert peek(raw).sending_app.encode("latin-1") == "Größe".encode()


def test_the_type_is_found_with_declared_and_with_usual_separators():
    assert peek(sample("oru_custom_delims")).message_type == "ORU^R01"
    own = b"MSH#@!\\$#LAB#########".replace(b"#########", b"######ADT@A01#1#P#2.5")
    assert peek(own).message_type == "ADT^A01"
    assert peek(sample("ack_v21_style")).message_type == "ACK"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "er7.empty"),
        (b"\r\n", "er7.empty"),
        (b"GET / HTTP/1.1\r\nHost: x", "er7.no_msh"),
        (b"PID|1||X", "er7.no_msh"),
        (b"msh|^~\\&|LAB", "er7.no_msh"),
        (b"FHS|^~\\&|LAB", "er7.no_msh"),
        (b"MSH", "er7.encoding_characters"),
        (b"MSH|", "er7.encoding_characters"),
        (b"MSH|||LAB", "er7.encoding_characters"),
        (b"MSH|^^\\&|LAB", "er7.encoding_characters"),
        (b"MSH|^~\\&#!|LAB", "er7.encoding_characters"),
        (b"MSH|HOSP|LAB", "er7.encoding_characters"),
        (b"MSHA^~\\&ALAB", "er7.encoding_characters"),
        (b"MSH|^~\\\xe9|LAB", "er7.encoding_characters"),
        (b"MSH|^~\\&|L\x00B", "er7.control_character"),
        (b"MSH|^~\\&|LAB|ORU\x0bMSH|^~\\&|LAB", "er7.control_character"),
        ("\ufeffMSH|^~\\&|LAB".encode("utf-16-le"), "er7.charset"),
        ("\ufeffMSH|^~\\&|LAB".encode("utf-16-be"), "er7.charset"),
    ],
)
def test_what_cannot_be_read_is_rejected(raw, code):
    error = refusal(peek, raw)
    assert (error.code, error.ack, error.error_class) == (code, "AR", "contract")


@pytest.mark.parametrize(
    ("declared", "delimiters"),
    [
        (b"^~\\&", ("|", "^", "~", "\\", "&", "")),
        (b"^~\\&#", ("|", "^", "~", "\\", "&", "#")),
        (b"^~\\", ("|", "^", "~", "\\", "", "")),
        (b"^~", ("|", "^", "~", "", "", "")),
        (b"^", ("|", "^", "", "", "", "")),
        (b"^~&", ("|", "^", "~", "", "&", "")),
        (b"^~\\\\&", ("|", "^", "~", "\\", "&", "")),
        (b"$r?@", ("|", "$", "r", "?", "@", "")),
    ],
)
def test_delimiters_are_those_the_message_declares(declared, delimiters):
    assert peek(b"MSH|" + declared + b"|LAB").delimiters == delimiters


@pytest.mark.parametrize(
    ("name", "field"),
    [("msh_no_type", 9), ("msh_no_control_id", 10), ("msh_short", 9)],
)
def test_a_header_without_required_fields_is_rejected_with_its_place(name, field):
    error = refusal(check, peek(sample(name)))
    assert (error.code, error.hl7_code) == ("er7.header_required", "101")
    assert (error.ack, error.location) == ("AR", f"MSH^1^{field}")


def test_null_is_no_control_id():
    assert refusal(check, peek(MSH.replace(b"C1", b'""'))).field == 10


def test_a_whole_header_passes():
    check(peek(MSH))


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("ORC-2-1|OBR-2-1", "ORD-1"),
        ("OBR-2-1|ORC-2-1", "ORD-2"),
        ("ORC-2", "ORD-1"),
        ("ORC-2-2", "ODOO"),
        ("ORC-3-2|ORC-3", "LAB-77"),
        ("PID-3-1|ORC-3", "LAB-77"),
        ("OBX(2)-3", ""),
        ("MSH-10", "C1"),
        ("MSH-9-2", "R01"),
        ("ORC-40", ""),
        ("", ""),
    ],
)
def test_the_order_key_is_the_first_that_is_there(source, key):
    raw = MSH + REST
    assert order_key(raw, source, peek(raw)) == key


def test_the_order_key_by_repetition_segment_number_and_subcomponent():
    raw = MSH + b"\nPID|1||A&a1^x~B^y\nOBX|1||K1\nOBX|2||K2"
    header = peek(raw)
    assert order_key(raw, "PID-3(2)-1", header) == "B"
    assert order_key(raw, "PID-3-1", header) == "A"
    assert order_key(raw, "PID-3-1-2", header) == "a1"
    assert order_key(raw, "OBX(2)-3", header) == "K2"


def test_a_null_is_no_order_key_and_blanks_do_not_count():
    raw = MSH + b'\rORC|RE|""\rOBR|1| ORD-9 ^X'
    assert order_key(raw, "ORC-2-1|OBR-2-1", peek(raw)) == "ORD-9"


def test_a_segment_name_inside_a_value_is_no_segment():
    raw = MSH + b"\rNTE|1||see ORC|XX|FALSE\rORC|RE|TRUE"
    assert order_key(raw, "ORC-2", peek(raw)) == "TRUE"


def test_the_order_key_of_one_text_is_the_same_in_every_charset():
    for declared, codec in (("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8")):
        raw = MSH + f"||||||{declared}\rORC|RE|Jürgen".encode(codec)
        assert order_key(raw, "ORC-2", peek(raw)) == "Jürgen"


@pytest.mark.parametrize("source", ["ORC", "orc-2", "ORC-0", "ORC-2-1-1-1", "ORC 2"])
def test_a_bad_order_key_source_is_a_mapping_error(source):
    error = refusal(order_key, MSH, source, peek(MSH))
    assert (error.code, error.error_class) == ("er7.query_syntax", "mapping")


def test_error_texts_hold_no_content():
    secret = b"EVERYWOMAN"
    for raw in (secret, b"MSH|^~\\&|" + secret + b"\x00", b"MSH" + secret):
        error = refusal(peek, raw)
        assert "EVERYWOMAN" not in str(error) + repr(error) + str(error.params)


def test_the_header_module_is_the_place_of_the_typed_error():
    assert msh.Er7Error is Er7Error
    error = Er7Error("er7.x", segment="PID", position=2, field=5, offset=7)
    assert error.params == {"segment": "PID", "position": 2, "field": 5, "offset": 7}
    assert error.location == "PID^2^5"
    assert Er7Error("er7.x", position=2).location == ""
    assert str(error) == "er7.x (segment PID, position 2, field 5, offset 7)"
