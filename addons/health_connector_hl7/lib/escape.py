"""Text of one leaf value: escape sequences and the HL7 null.

Source: HL7 v2.5.1 chapter 2, §2.7 (escape sequences) and §2.5.3 (null values).
"""

import enum
import re
from functools import lru_cache

from .errors import Er7Error
from .msh import NULL_TEXT, Delimiters


class Null(enum.Enum):
    """The HL7 null ``""``: the sender asks to delete the value. False in a test, but
    not None: None means that the sender says nothing about the value."""

    NULL = NULL_TEXT

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NULL"


NULL = Null.NULL
Value = str | Null | None

MAX_SPACING = 20  # lines or blanks one sequence may ask for: a text must not explode

_CONTROLS = [code for code in range(1, 0x20) if code != 0x09]
_LINES = {".br": "\n", ".ce": "\n", ".sp": "\n", ".sk": " "}
_SEQUENCE = r"""
    (?P<letter>[FSTREPHN]){0}
  | (?P<hex>X(?:[0-9A-Fa-f]{{2}})+{0}(?:{0}X(?:[0-9A-Fa-f]{{2}})+{0})*)
  | (?P<command>\.(?:br|ce|fi|nf|sp|sk|in|ti))\s?(?P<count>[+-]?\d{{1,2}})?{0}
  | (?P<kept>C[0-9A-Fa-f]{{4}}|M[0-9A-Fa-f]{{4}}(?:[0-9A-Fa-f]{{2}})?|Z[^{0}]*){0}
"""


def read_leaf(raw: str, delimiters: Delimiters, codec: str) -> Value:
    """The value of a leaf as it stands on the wire: None when empty, NULL for two
    quotes, else the unescaped text."""
    if not raw:
        return None
    if raw == NULL_TEXT:
        return NULL
    return unescape(raw, delimiters, codec)


def unescape(text: str, delimiters: Delimiters, codec: str = "utf-8") -> str:
    """Replace every well-formed escape sequence; anything else is kept as it stands.

    Highlighting and indentation vanish, line breaks become ``\\n``. Sequences with a
    meaning only the partner knows (``\\Z..\\``) or that switch the character set
    (``\\C..\\``, ``\\M..\\``) stay. ``\\X..\\`` is read in the charset of the message
    and stays when it does not decode or would yield a NUL.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    letters = _letters(delimiters)

    def replace(match: re.Match[str]) -> str:
        whole = match.group()
        if letter := match["letter"]:
            return letters.get(letter, whole)
        if match["hex"]:
            return _from_hex(match["hex"], codec, whole)
        if command := match["command"]:
            times = min(abs(int(match["count"] or 1)), MAX_SPACING)
            return _LINES.get(command, "") * (times if command[1] == "s" else 1)
        return whole

    return _sequences(mark).sub(replace, text)


def escape(text: str, delimiters: Delimiters) -> str:
    """Write a text so that :func:`unescape` gives it back exactly.

    :raises Er7Error: ``er7.value`` (class mapping) for a NUL character, or when the
        message declares no escape character and the text needs one
    """
    table = _escapes(delimiters)
    if "\0" in text or (not delimiters.escape and table.keys() & set(map(ord, text))):
        raise Er7Error("er7.value", error_class="mapping", reason="not_writable")
    return text.translate(table)


@lru_cache(maxsize=256)
def _letters(delimiters: Delimiters) -> dict[str, str]:
    letters = {
        "F": delimiters.field,
        "S": delimiters.component,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "T": delimiters.subcomponent,
        "P": delimiters.truncation,
    }
    known = {letter: char for letter, char in letters.items() if char}
    return {**known, "H": "", "N": ""}


@lru_cache(maxsize=256)
def _escapes(delimiters: Delimiters) -> dict[int, str]:
    mark = delimiters.escape
    table = {code: f"{mark}X{code:02X}{mark}" for code in _CONTROLS}
    for letter, char in _letters(delimiters).items():
        if char:
            table[ord(char)] = f"{mark}{letter}{mark}"
    return table


@lru_cache(maxsize=64)
def _sequences(mark: str) -> re.Pattern[str]:
    quoted = re.escape(mark)
    return re.compile(quoted + "(?:" + _SEQUENCE.format(quoted) + ")", re.VERBOSE)


def _from_hex(sequence: str, codec: str, whole: str) -> str:
    digits = re.sub(r"[^0-9A-Fa-f]", "", sequence)
    try:
        text = bytes.fromhex(digits).decode(codec)
    except ValueError:
        return whole
    return whole if "\0" in text else text
