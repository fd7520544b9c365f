"""JSON bodies: what is read, what is refused, and that a refusal repeats nothing."""

import json
import traceback

import pytest
from health_connector.lib.errors import CONTRACT, HealthError
from health_connector.lib.json_body import parse
from hypothesis import given, strategies as st

MARKER = "ZZMARKERZZ"
TREE = {"name": "Zoë", "n": 1.5, "big": 10**30, "list": [None, True], "e": "\U0001f600"}


@pytest.mark.parametrize("charset", ["", "utf-8", "UTF8"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_utf8_is_read_with_or_without_its_mark(charset, mark):
    assert parse(mark + json.dumps(TREE, ensure_ascii=False).encode(), charset) == TREE


def test_other_charsets_are_read_when_they_are_named():
    raw = '{"name": "Zoë"}'.encode("latin-1")
    assert parse(raw, "latin-1") == {"name": "Zoë"}
    with pytest.raises(HealthError):
        parse(raw)


def test_escaped_pairs_are_letters():
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert parse(rb'"\\ud800 \\u0000"') == "\\ud800 \\u0000"


REFUSED = [
    b"",
    b"{" + MARKER.encode(),
    b'{"a": NaN}',
    b"[Infinity]",
    b"[-Infinity]",
    b"[1e999]",
    b'"\\ud800"',
    b'{"\\uDC00": 1}',
    b'["a", {"b": "x\\u0000y"}]',
    b'{"\\u0000": 1}',
    b'"\xff"',
    b"\xff\xfe{\x00}\x00",
    b"[" * 100_000,
    b"9" * 5000,
    b'"a\nb"',
    b"{'a': 1}",
    b"[1] x",
]


@pytest.mark.parametrize("raw", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_json_is_refused_without_repeating_it(raw):
    with pytest.raises(HealthError) as caught:
        parse(raw)
    error = caught.value
    assert (error.code, error.error_class) == ("json.syntax", CONTRACT)
    assert error.params == {"bytes": len(raw)}
    assert MARKER not in "".join(traceback.format_exception(error))


def test_an_unknown_charset_is_refused():
    with pytest.raises(HealthError):
        parse(b"{}", "no-such-charset")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_written(raw):
    try:
        tree = parse(raw)
    except HealthError:
        return
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode()) == tree
