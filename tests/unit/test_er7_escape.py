"""Escape sequences: read what is well formed, keep what is not."""

import pytest
from health_connector_hl7.lib.errors import Er7Error
from health_connector_hl7.lib.escape import escape, unescape
from health_connector_hl7.lib.msh import Delimiters

USUAL = Delimiters("|", "^", "~", "\\", "&")
V27 = Delimiters("|", "^", "~", "\\", "&", "#")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("plain", "plain"),
        (r"\F\\S\\T\\R\\E\ ", "|^&~\\ "),
        (r"\E\F\ ", r"\F\ "),
        (r"\H\bold\N\ face", "bold face"),
        (r"a\.br\b", "a\nb"),
        (r"a\.sp2\b\.sk3\c", "a\n\nb   c"),
        (r"a\.sp\b", "a\nb"),
        (r"a\.ce\b", "a\nb"),
        (r"\.in+4\a\.ti-2\b\.fi\c\.nf\ ", "abc "),
        (r"\X0D0A\ ", "\r\n "),
        (r"\XC3A9\ ", "é "),
        (r"\XC3\\XA9\ ", "é "),
        (r"\x41\ ", r"\x41\ "),
    ],
)
def test_sequences_are_read(wire, text):
    assert unescape(wire, USUAL) == text


@pytest.mark.parametrize(
    "wire",
    [
        "\\",
        "\\\\",
        r"50\100",
        r"C:\dir\file",
        r"\F",
        r"\X0\ ",
        r"\XZZ\ ",
        r"\X\ ",
        r"\XFF\ ",
        r"\X00\ ",
        r"\Q\ ",
        r"\.zz\ ",
        r"\.sp999999999\ ",
        r"\P\ ",
        r"\Zcustom\ ",
        r"\C2842\ ",
        r"\M2442\ ",
        r"\M244242\ ",
    ],
)
def test_malformed_private_and_charset_sequences_stay_as_they_stand(wire):
    assert unescape(wire, USUAL) == wire


def test_a_lone_escape_character_does_not_hide_the_next_sequence():
    assert unescape(r"50\100 \T\ more", USUAL) == r"50\100 & more"


def test_a_private_sequence_is_one_unit():
    assert unescape(r"\ZF\F\ ", USUAL) == r"\ZF\F\ "


def test_spacing_is_bounded():
    assert unescape(r"\.sp99\ ", USUAL) == "\n" * 20 + " "


def test_hex_is_read_in_the_charset_of_the_message():
    assert unescape(r"\XE9\ ", USUAL, "latin-1") == "é "
    assert unescape(r"\XE9\ ", USUAL, "utf-8") == r"\XE9\ "


def test_the_truncation_character_only_where_it_is_declared():
    assert unescape(r"\P\ ", V27) == "# "
    assert escape("a#b", V27) == r"a\P\b"
    assert escape("a#b", USUAL) == "a#b"


def test_without_an_escape_character_nothing_is_read_and_nothing_special_written():
    bare = Delimiters("|", "^", "~", "", "&")
    assert unescape(r"\F\ ", bare) == r"\F\ "
    assert escape("plain \\ text", bare) == "plain \\ text"
    for text in ("a|b", "a^b", "a&b", "a\rb"):
        with pytest.raises(Er7Error) as caught:
            escape(text, bare)
        assert (caught.value.code, caught.value.error_class) == ("er7.value", "mapping")


def test_line_ends_never_reach_the_wire():
    assert escape("a\r\nb\tc", USUAL) == "a\\X0D\\\\X0A\\b\tc"
