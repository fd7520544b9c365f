"""Acknowledgements: who gets one, and its bytes (HL7 v2 chapter 2, §2.9 and MSA/ERR).

Everything taken from the incoming header is copied as raw bytes, so no charset can
break an answer. An answer is a function of the message, the verdict, a stamp and a
key; with stamp and key from the stored message, a duplicate is answered byte for
byte as the first was.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache

ACCEPT, ERROR, REJECT = "A", "E", "R"

#: HL7 table 0357, the texts as the standard has them
CONDITIONS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}

_HEADERS = (b"MSH", b"BHS", b"FHS")
_HEADER_LIMIT = 64 * 1024
_ENCODING = b"^~\\&"
_FIELDS = 18
#: MSH-10 is at most 20 characters until version 2.6
_KEY_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a message is not accepted, in terms of the standard and free of content.

    :param condition: code of table 0357
    :param verdict: ERROR (repair or retry) or REJECT (do not retry unchanged)
    :param segment: with ``field``, the place, when there is one
    :param hint: what to do about it, for the partner's staff; a constant text
    """

    condition: int
    verdict: str = REJECT
    segment: str = ""
    field: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the sender wants to hear (MSH-15 and MSH-16, table 0155)."""

    prefix: str
    on_success: bool
    on_failure: bool

    def wants(self, verdict: str) -> bool:
        return self.on_success if verdict == ACCEPT else self.on_failure


_CONDITION = {b"AL": (True, True), b"NE": (False, False)}
_CONDITION |= {b"ER": (False, True), b"SU": (True, False)}


@lru_cache(maxsize=256)
def mode_of(accept: bytes, application: bytes) -> Mode:
    """The rules of the two modes.

    Both empty is original mode: always an application answer (AA, AE, AR). Else
    MSH-15 asks for a commit answer (CA, CE, CR) by its condition; a value that is
    not in the table is taken as AL, an answer too many being the smaller harm. When
    no commit answer is wanted (NE or empty), MSH-16 decides on the application
    answer on this link: by §2.9 "NE and AL" *is* original mode.
    """
    if not accept and not application:
        return Mode("A", True, True)
    if accept and accept != b"NE":
        return Mode("C", *_CONDITION.get(accept, (True, True)))
    return Mode("A", *_CONDITION.get(application or b"NE", (True, True)))


class Envelope:
    """The raw fields of a header segment (MSH, or BHS/FHS which share the layout).

    Reads whatever is there, however broken: an answer must be possible to a message
    that the door refuses to parse.
    """

    __slots__ = ("encoding", "fields", "mode", "separator")

    def __init__(self, raw: bytes) -> None:
        line = _first_line(raw)
        separator = line[3:4]
        if line[:3] not in _HEADERS or not _usable(separator):
            line, separator = b"", b"|"
        #: as they came, without blanks around; index 2 is MSH-3
        self.fields = line.split(separator)
        if b" " in line:
            self.fields = [field.strip(b" ") for field in self.fields]
        self.fields += [b""] * (_FIELDS - len(self.fields))
        self.separator = separator
        self.encoding = _encoding(self.fields[1])
        self.mode = mode_of(self.fields[14], self.fields[15])

    def field(self, number: int) -> bytes:
        """MSH-``number`` as it came, from MSH-3 to MSH-18."""
        return self.fields[number - 1]

    def components(self, number: int) -> list[bytes]:
        return self.field(number).split(self.encoding[:1])

    @property
    def minor(self) -> int:
        """5 for version 2.5.1; 5 too when the version is not readable."""
        return _minor(self.field(12))


def _first_line(raw: bytes) -> bytes:
    if raw[:3] not in _HEADERS:
        raw = raw[:_HEADER_LIMIT].removeprefix(b"\xef\xbb\xbf").lstrip()
    line = raw[:_HEADER_LIMIT].partition(b"\r")[0]
    return line.partition(b"\n")[0] if b"\n" in line else line


@lru_cache(maxsize=64)
def _encoding(text: bytes) -> bytes:
    """MSH-2, or the recommended one when no answer can be written with it."""
    usable = all(_usable(text[index : index + 1]) for index in range(len(text)))
    return text if len(text) >= 2 and usable else _ENCODING


@lru_cache(maxsize=64)
def _usable(delimiter: bytes) -> bool:
    """A printable delimiter that cannot occur in the words of an answer."""
    return b"!" <= delimiter <= b"~" and not delimiter.isalnum()


@lru_cache(maxsize=64)
def _minor(version: bytes) -> int:
    match = re.match(rb"2\.(\d)", version)
    return int(match[1]) if match else 5


def key_of(*uids: str) -> str:
    """An MSH-10 of our own: unique as the stored message is, equal on repetition."""
    text = "|".join(("ack", *uids))
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH].upper()


def fresh_key() -> str:
    """An MSH-10 for an answer to something that was not stored."""
    return key_of(uuid.uuid4().hex)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def acknowledge(
    envelope: Envelope,
    stamp: datetime,
    key: str,
    problem: Problem | None = None,
) -> bytes:
    """The answer's bytes, without frame; empty when the sender wants none.

    :param stamp: UTC, becomes MSH-7
    :param key: becomes MSH-10, see :func:`key_of` and :func:`fresh_key`
    """
    mode = envelope.mode
    verdict = problem.verdict if problem else ACCEPT
    if not mode.wants(verdict):
        return b""
    code = f"{mode.prefix}{verdict}".encode()
    msa = [b"MSA", code, envelope.field(10)]
    segments = [_header(envelope, stamp, key), msa]
    if problem:
        segments.append(_error(envelope, problem))
        if envelope.minor < 5 and problem.hint:
            msa.append(_text(envelope, problem.hint))
    separator = envelope.separator
    return b"".join(separator.join(segment) + b"\r" for segment in segments)


def _header(envelope: Envelope, stamp: datetime, key: str) -> list[bytes]:
    fields = envelope.fields
    header = [b"MSH", envelope.encoding, fields[4], fields[5], fields[2], fields[3]]
    header += [_timestamp(stamp), b"", _message_type(envelope), key.encode()]
    header += [fields[10] or b"P", fields[11] or b"2.5"]
    charset = fields[17]
    if charset:
        header += [b"", b"", b"", b"", b"", charset]
    return header


def _message_type(envelope: Envelope) -> bytes:
    parts = envelope.components(9)
    if len(parts) < 2 or not parts[1] or envelope.minor < 4:
        return b"ACK"
    return envelope.encoding[:1].join((b"ACK", parts[1], b"ACK"))


def _timestamp(stamp: datetime) -> bytes:
    return (
        f"{stamp.year:04}{stamp.month:02}{stamp.day:02}"
        f"{stamp.hour:02}{stamp.minute:02}{stamp.second:02}+0000"
    ).encode()


def _error(envelope: Envelope, problem: Problem) -> list[bytes]:
    """ERR-2/3/4 from 2.5 on; one ERR-1 with everything before."""
    text = CONDITIONS[problem.condition].encode()
    coded = [str(problem.condition).encode(), text, b"HL70357"]
    place: list[bytes] = []
    if problem.segment:
        place = [problem.segment.encode(), b"1"]
        place += [str(problem.field).encode()] if problem.field else []
    component = envelope.encoding[:1]
    if envelope.minor < 5:
        place += [b""] * (3 - len(place))
        return [b"ERR", component.join([*place, _subcomponent(envelope).join(coded)])]
    error = [b"ERR", b"", component.join(place), component.join(coded), b"E"]
    if problem.hint:
        error += [b"", b"", b"", _text(envelope, problem.hint)]
    return error


def _subcomponent(envelope: Envelope) -> bytes:
    return envelope.encoding[3:4] or b"&"


def _text(envelope: Envelope, text: str) -> bytes:
    """Our own words hold letters, digits and these marks; none may be a delimiter."""
    delimiters = envelope.separator + envelope.encoding
    return bytes(byte for byte in text.encode("ascii") if byte not in delimiters)


def batch_reply(
    header: Envelope, answers: Sequence[bytes], stamp: datetime, key: str
) -> bytes:
    """A batch of answers to a batch (BHS, the ACKs, BTS); BHS-12 names the batch."""
    separator = header.separator
    bhs = [b"BHS", header.encoding, *map(header.field, (5, 6, 3, 4))]
    bhs += [_timestamp(stamp), b"", b"", b"", key.encode(), header.field(11)]
    bts = [b"BTS", str(len(answers)).encode()]
    lines = (separator.join(bhs) + b"\r", *answers, separator.join(bts) + b"\r")
    return b"".join(lines)
