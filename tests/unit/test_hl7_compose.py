"""A document whose keys are places becomes a message that parses to the same."""

from datetime import datetime

import pytest
from health_connector_hl7.lib import er7
from health_connector_hl7.lib.compose import Heading, compose
from health_connector_hl7.lib.errors import Er7Error
from hypothesis import given, strategies as st

HEADING = Heading("ORM^O01^ORM_O01", "0123456789abcdef0123", datetime(2026, 3, 9, 7, 5))
DOCUMENT = {
    "msh_3": "ODOO",
    "pid_3_1": "N-1",
    "pid_5_1": "DOE",
    "pid_5_2": "JANE",
    "pid_13": ["5551", "5552"],
    "orders": [
        {"orc_1": "NW", "obr_4_1": "CBC", "notes": [{"nte_3": "a"}, {"nte_3": "b"}]},
        {"orc_1": "NW", "obr_4_1": "K", "obr_27": True},
    ],
}


def test_places_become_segments_in_order():
    assert compose(DOCUMENT, HEADING).decode().split("\r") == [
        "MSH|^~\\&|ODOO||||20260309070500+0000||ORM^O01^ORM_O01"
        "|0123456789abcdef0123|T|2.5.1",
        "PID|||N-1||DOE^JANE||||||||5551~5552",
        "ORC|NW",
        "OBR||||CBC",
        "NTE|||a",
        "NTE|||b",
        "ORC|NW",
        "OBR||||K|||||||||||||||||||||||Y",
        "",
    ]


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30))
def test_any_text_arrives_as_it_was(text):
    message = er7.parse(compose({"pid_5_1": text, "pid_5_2": "x"}, HEADING))
    assert message.segment("PID").get(5, 1) == text
    declared = message.segments[0].raw(18)
    assert declared == ("" if text.isascii() else "UNICODE UTF-8")


def test_the_agreed_charset_is_used_and_declared():
    heading = Heading("ADT^A08", "X", datetime(2026, 1, 1), charset="8859/1")
    raw = compose({"pid_5_1": "Zoë"}, heading)
    assert b"Zo\xeb" in raw
    assert b"|8859/1\r" in raw
    with pytest.raises(Er7Error) as caught:
        compose({"pid_5_1": "Ω"}, heading)
    assert (caught.value.code, caught.value.error_class) == ("er7.charset", "mapping")


@pytest.mark.parametrize(
    "key", ["name", "pid", "pid_0", "msh_10", "msh_9_1", "msh_18", "pid_5_1_1_1", "p_1"]
)
def test_what_is_no_place_or_not_the_documents_to_fill(key):
    with pytest.raises(Er7Error) as caught:
        compose({key: "x"}, HEADING)
    assert caught.value.code == "er7.place"
