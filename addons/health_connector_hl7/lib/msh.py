"""The message header, read from the bytes of the first segment only.

A gateway must route, deduplicate and answer a message before (and even when it
cannot be) parsed. Texts are decoded as Latin-1, so that encoding them as Latin-1
again gives the sender's own bytes: an answer echoes them exactly.

Source: HL7 v2.5.1 chapter 2, §2.5.4 (delimiters) and §2.15.9 (MSH).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .charset import codec_or_none
from .errors import Er7Error

__all__ = ["Delimiters", "Er7Error", "Header", "check", "order_key", "peek"]

HEADER_SEGMENTS = ("MSH", "FHS", "BHS")
NULL_TEXT = '""'

_START = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*")
_FIRST_LINE = re.compile(rb"[^\r\n]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f]")  # TAB and ESC may occur
_DELIMITER = re.compile(r"[!-/:-@\[-~]")
_SOURCE = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\((?P<nth>[1-9]\d{0,2})\))?-(?P<field>[1-9]\d{0,2})"
    r"(?:\((?P<repetition>[1-9]\d{0,2})\))?"
    r"(?:-(?P<component>[1-9]\d{0,2}))?(?:-(?P<subcomponent>[1-9]\d{0,2}))?"
)


class Delimiters(NamedTuple):
    """The separators a message declares; an undeclared one is an empty string."""

    field: str
    component: str
    repetition: str = ""
    escape: str = ""
    subcomponent: str = ""
    truncation: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """MSH as it stands on the wire: escapes and components are not taken apart,
    except MSH-9. ``charset`` is the first repetition of MSH-18 and ``charsets``
    the whole field, its repetitions separated by ``~``."""

    field_sep: str
    encoding_chars: str
    sending_app: str
    sending_fac: str
    receiving_app: str
    receiving_fac: str
    datetime: str
    message_code: str
    trigger: str
    structure: str
    control_id: str
    processing_id: str
    version: str
    sequence: str
    accept_ack: str
    application_ack: str
    charset: str
    charsets: str = ""

    @property
    def message_type(self) -> str:
        """``ORU^R01``, always with ``^``; only the code when there is no trigger."""
        parts = (self.message_code, self.trigger)
        return "^".join(part for part in parts if part)

    @property
    def delimiters(self) -> Delimiters:
        return read_delimiters(self.field_sep, self.encoding_chars)


def peek(raw: bytes) -> Header:
    """Read the header of one message; nothing behind the first segment is looked at.

    A header with missing fields is returned all the same (it is needed to build the
    refusal): :func:`check` tells whether it is complete.

    :raises Er7Error: ``er7.empty``, ``er7.no_msh``, ``er7.charset`` (UTF-16),
        ``er7.encoding_characters`` or ``er7.control_character``; all mean AR
    """
    return read_header(first_line(raw))


def read_header(line: str) -> Header:
    """Like :func:`peek`, from the text of an MSH segment."""
    delimiters = line_delimiters(line)
    field_sep = delimiters.field
    fields = line.split(field_sep)
    fields += [""] * (18 - len(fields))
    code, trigger, structure = _message_type(fields[8], delimiters)
    charsets = line_charsets(line, delimiters)
    return Header(
        field_sep, fields[1], *fields[2:7],
        code, trigger, structure, *fields[9:13],
        *fields[14:16], charsets.split("~")[0], charsets,
    )  # fmt: skip


def check(header: Header) -> None:
    """Refuse a header without what every answer and every route needs.

    :raises Er7Error: ``er7.header_required`` (AR, 101) with the field number:
        MSH-9 message type, MSH-10 control id, MSH-11 processing id, MSH-12 version
    """
    required = {
        9: header.message_code,
        10: header.control_id,
        11: header.processing_id,
        12: header.version,
    }
    for field, value in required.items():
        if not value.strip() or value == NULL_TEXT:
            raise Er7Error(
                "er7.header_required",
                hl7_code="101",
                ack="AR",
                segment="MSH",
                position=1,
                field=field,
            )


def first_line(raw: bytes) -> str:
    """The MSH segment as Latin-1 text, without BOM, leading line ends, terminator.

    :raises Er7Error: AR, when the bytes do not begin with a message header, or it
        holds control characters (a lost frame, binary data)
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Er7Error("er7.charset", hl7_code="102", ack="AR", charset="UTF-16")
    start = message_start(raw)
    line = _FIRST_LINE.match(raw, start).group().decode("latin-1")
    if not line:
        raise Er7Error("er7.empty", ack="AR")
    if line[:3] != "MSH":
        raise Er7Error("er7.no_msh", ack="AR", position=1)
    if _CONTROL.search(line):
        raise Er7Error("er7.control_character", hl7_code="102", ack="AR", segment="MSH")
    return line


def message_start(raw: bytes) -> int:
    """Offset of the first content byte: a UTF-8 BOM and blank lines are skipped."""
    return _START.match(raw).end()


def line_delimiters(line: str) -> Delimiters:
    """Delimiters of an MSH line.

    :raises Er7Error: ``er7.encoding_characters``
    """
    field_sep = line[3:4]
    encoding_chars = line[4:].partition(field_sep)[0] if field_sep else ""
    return read_delimiters(field_sep, encoding_chars)


def line_charsets(line: str, delimiters: Delimiters) -> str:
    """MSH-18 of an MSH line, its repetitions separated by ``~`` whatever the message
    uses."""
    fields = line.split(delimiters.field, 18)
    charsets = fields[17].strip() if len(fields) > 17 else ""
    return charsets.replace(delimiters.repetition or "~", "~")


@lru_cache(maxsize=256)
def read_delimiters(field_sep: str, encoding_chars: str) -> Delimiters:
    """Delimiters from MSH-1 and MSH-2 (1 to 5 characters; 5th: truncation, v2.7).

    Two slips of real senders are read as they are meant: ``^~&`` (escape character
    left out) and an escape character doubled by a template (``^~`` ``\\\\`` ``&``).

    Capitals and digits are refused (they spell the escape sequences), and so is any
    letter as field or component separator or escape character: where MSH-2 is
    missing, a name would become delimiters.

    :raises Er7Error: ``er7.encoding_characters`` (AR) when they are unusable
    """
    chars = encoding_chars
    if chars[2:] == "&":
        chars = chars[:2] + "\0&"
    elif len(chars) == 5 and chars[2] == chars[3]:
        chars = chars[:3] + chars[4:]
    used = [field_sep, *chars.replace("\0", "")]
    if (
        not 2 <= len(used) <= 6
        or not all(_DELIMITER.fullmatch(char) for char in used)
        or any(char.isalpha() for char in (*used[:2], chars[2:3]))
        or len(set(used)) != len(used)
    ):
        raise Er7Error(
            "er7.encoding_characters", hl7_code="102", ack="AR",
            segment="MSH", position=1, field=2 if field_sep else 1,
        )  # fmt: skip
    return Delimiters(field_sep, *(char.strip("\0") for char in chars))


def _message_type(field: str, delimiters: Delimiters) -> tuple[str, str, str]:
    separator = delimiters.component
    if separator not in field and "^" not in delimiters:
        separator = "^"  # other separators declared, MSH-9 copied from a template
    parts = [part.strip() for part in field.split(separator)]
    code, trigger, structure = (parts + ["", ""])[:3]
    return code, trigger, structure


def order_key(raw: bytes, source: str, header: Header) -> str:
    """First non-empty value of ``source`` ("ORC-2-1|OBR-2-1"), found by scanning.

    Without a component the first one is taken. The text is as on the wire (escapes
    kept), blanks around it removed; an HL7 null counts as empty.

    :raises Er7Error: ``er7.query_syntax`` when ``source`` is not in this notation
    """
    for alternative in filter(None, source.split("|")):
        value = _scan(raw, alternative.strip(), header).strip()
        if value and value != NULL_TEXT:
            return value
    return ""


def _scan(raw: bytes, alternative: str, header: Header) -> str:
    path = _parse_source(alternative)
    line = _find_segment(raw, path["segment"], header.field_sep, path["nth"])
    if line is None:
        return ""
    text = _decode_line(line, header.charsets)
    delimiters = header.delimiters
    shift = 1 if path["segment"] in HEADER_SEGMENTS else 0
    value = _nth(text, delimiters.field, path["field"] + 1 - shift)
    for separator, level in (
        (delimiters.repetition, "repetition"),
        (delimiters.component, "component"),
        (delimiters.subcomponent, "subcomponent"),
    ):
        value = _nth(value, separator, path[level])
    return value


@lru_cache(maxsize=256)
def _parse_source(alternative: str) -> dict:
    match = _SOURCE.fullmatch(alternative)
    if not match:
        raise Er7Error("er7.query_syntax", error_class="mapping", source=alternative)
    path = {key: int(value or 1) for key, value in match.groupdict().items()
            if key != "segment"}  # fmt: skip
    return {"segment": match["segment"], **path}


def _find_segment(raw: bytes, name: str, field_sep: str, nth: int) -> bytes | None:
    if name == "MSH":
        return first_line(raw).encode("latin-1") if nth == 1 else None
    pattern = _segment_pattern(name, field_sep)
    for number, match in enumerate(pattern.finditer(raw), 1):
        if number == nth:
            return match.group(1)
    return None


@lru_cache(maxsize=256)
def _segment_pattern(name: str, field_sep: str) -> re.Pattern[bytes]:
    prefix = re.escape((name + field_sep).encode("ascii"))
    return re.compile(rb"[\r\n](" + prefix + rb"[^\r\n]*)")


def _decode_line(line: bytes, charsets: str) -> str:
    """Decode for a key: the declared charset, else UTF-8, else Latin-1. A wrong
    charset is refused later by the parser; here it must only give a stable text."""
    for codec in filter(None, (codec_or_none(charsets), "utf-8")):
        try:
            return line.decode(codec)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")


def _nth(text: str, separator: str, number: int) -> str:
    if not separator:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""
