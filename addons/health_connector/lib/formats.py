"""The formats that contracts are checked for.

``jsonschema`` checks a format only where some optional package happens to be
installed, ``date-time`` among them, and two engines never agree on all of them. So
the list is ours, the same on every machine and for every engine. A format that is
not in it says something to people only, which is what the standard foresees.
"""

from __future__ import annotations

import re
from datetime import date, time

from jsonschema import FormatChecker

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))"
)

FORMATS = FormatChecker(formats=("email", "ipv4", "ipv6", "uuid"))


@FORMATS.checks("date", raises=ValueError)
def is_date(value: object) -> bool:
    """RFC 3339 full-date. A format says nothing about values that are not text."""
    if not isinstance(value, str):
        return True
    found = _DATE.fullmatch(value)
    if found is None:
        return False
    date(*map(int, found.groups()))
    return True


@FORMATS.checks("time", raises=ValueError)
def is_time(value: object) -> bool:
    """RFC 3339 full-time, with its offset; without leap seconds, which no datetime
    of Python can hold."""
    if not isinstance(value, str):
        return True
    found = _TIME.fullmatch(value)
    if found is None:
        return False
    hour, minute, second, offset_hour, offset_minute = found.groups(default="0")
    time(int(hour), int(minute), int(second))
    time(int(offset_hour), int(offset_minute))
    return True


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    """RFC 3339 date-time: a date, T and a time with an offset."""
    if not isinstance(value, str):
        return True
    return value[10:11] in ("T", "t") and is_date(value[:10]) and is_time(value[11:])
