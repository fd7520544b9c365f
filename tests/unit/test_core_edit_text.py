"""What a person edits comes back as it was, but for what was edited."""

import pytest
from health_connector.lib.edit_text import to_bytes, to_text
from health_connector.lib.errors import HealthError
from hypothesis import given, strategies as st


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_line_ends_survive_the_text_box(line_end):
    raw = line_end.join(["MSH|^~\\&|LAB", "PID|1", ""]).encode()
    text, kept = to_text(raw, "utf-8")
    assert text == "MSH|^~\\&|LAB\nPID|1\n"
    assert to_bytes(text, kept, "utf-8") == raw
    # browsers send \r\n
    assert to_bytes(text.replace("\n", "\r\n"), kept, "utf-8") == raw


@given(st.binary(max_size=60))
def test_what_is_shown_comes_back_or_is_refused(raw):
    try:
        text, line_end = to_text(raw, "utf-8")
    except HealthError as error:
        assert error.code == "edit.not_text"
    else:
        assert to_bytes(text, line_end, "utf-8") == raw


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a\0b", b"a\rb\nc"])
def test_what_would_not_survive_is_refused(raw):
    with pytest.raises(HealthError, match="edit.not_text"):
        to_text(raw, "utf-8")


def test_a_letter_that_the_charset_lacks():
    with pytest.raises(HealthError, match="edit.charset") as caught:
        to_bytes("Gruß €", "\n", "iso8859-1")
    assert caught.value.params == {"position": 5}
