"""HL7 dates and times (DT, TM excluded, DTM and the time of TS).

``YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]``. A text without a time of day is a
date: a birth date never becomes midnight somewhere. A time without an offset is local
to the partner, in the zone its configuration names, never in that of the server.

Source: HL7 v2.5.1 chapter 2A, §2.A.21 (DT) and §2.A.22 (DTM).
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import Er7Error

__all__ = ["Er7Error", "Timestamp", "parse_timestamp", "write_timestamp"]

PRECISIONS = {4: "year", 6: "month", 8: "day", 10: "hour", 12: "minute", 14: "second"}
_DTM = re.compile(r"(\d{4,14})(?:\.(\d{1,6}))?([+-]\d{4})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time, or a date, with what was really said.

    :param value: an aware datetime in UTC; a date when there is no time of day (the
        first day of the year or month when ``precision`` is no finer)
    :param precision: year, month, day, hour, minute, second or fraction
    :param original: the text as it was sent
    :param note: ``ambiguous`` for a local time that occurs twice (the first one is
        taken), ``nonexistent`` for one that the clock change skips; else blank
    """

    value: datetime | date
    precision: str
    original: str
    note: str = ""


def parse_timestamp(text: str, default_zone: str) -> Timestamp:
    """Read a DT, DTM or the first component of a TS.

    :param default_zone: IANA name of the partner's time zone
    :raises Er7Error: ``er7.timestamp`` (102) when it is not a valid date or time;
        ``er7.timezone`` (class bug) when the zone is needed and not known
    """
    match = _DTM.fullmatch(text.strip())
    precision = PRECISIONS.get(len(match[1])) if match else None
    if precision is None or (match[2] and precision != "second"):
        raise _bad()
    digits, fraction, offset = match.groups()
    try:
        naive = _naive(digits, fraction)
        if len(digits) <= 8:
            return Timestamp(naive.date(), precision, text)
        precision = "fraction" if fraction else precision
        if offset:
            value = naive.replace(tzinfo=_offset(offset)).astimezone(timezone.utc)
            return Timestamp(value, precision, text)
        zone = _zone(default_zone)
        value = naive.replace(tzinfo=zone).astimezone(timezone.utc)
        return Timestamp(value, precision, text, _note(naive, zone))
    except Er7Error:
        raise
    except (ValueError, OverflowError):
        raise _bad() from None


def write_timestamp(value: datetime | date, zone: str = "UTC") -> str:
    """Write a date as ``YYYYMMDD``, an aware datetime to the second with its offset.

    :raises Er7Error: ``er7.timestamp`` for a datetime without a zone
    """
    if not isinstance(value, datetime):
        return value.isoformat().replace("-", "")
    if value.tzinfo is None:
        raise _bad()
    return value.astimezone(_zone(zone)).strftime("%Y%m%d%H%M%S%z")


def _naive(digits: str, fraction: str | None) -> datetime:
    padded = digits + "00000101000000"[len(digits) :]
    numbers = [int(padded[start : start + 2]) for start in range(4, 14, 2)]
    microseconds = int((fraction or "0").ljust(6, "0"))
    return datetime(int(padded[:4]), *numbers, microseconds)


def _offset(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[3:5])
    if hours > 14 or minutes > 59:
        raise _bad()
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Er7Error("er7.timezone", error_class="bug") from None


def _note(naive: datetime, zone: ZoneInfo) -> str:
    """Whether the clock change makes a local time unclear (PEP 495)."""
    first = naive.replace(tzinfo=zone)
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset():
        return ""
    there_and_back = first.astimezone(timezone.utc).astimezone(zone)
    return (
        "ambiguous" if there_and_back.replace(tzinfo=None) == naive else "nonexistent"
    )


def _bad() -> Er7Error:
    return Er7Error("er7.timestamp", hl7_code="102")
