"""Converters every mapping may use. A codec adds those of its own format.

A converter takes the found value and the :class:`~.mapping.Context` and returns the
canonical one; a ``ValueError`` means that the value does not fit.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from .mapping import Context, Converter

#: powers of ten a decimal number may be written with
_POWERS = 40
#: the forms that every supported Python reads alike
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,][0-9]+)?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)


def text(value: Any, context: Context) -> str:
    """The value as text without surrounding space."""
    if isinstance(value, (dict, list, tuple)):
        raise ValueError("not a single value")
    return str(value).strip()


def upper(value: Any, context: Context) -> str:
    return text(value, context).upper()


def integer(value: Any, context: Context) -> int:
    return int(_number(value, context))


def _number(value: Any, context: Context) -> str:
    """Text that may be a number; Python alone reads 1_000 and Arabic digits too."""
    found = text(value, context)
    if "_" in found or not found.isascii():
        raise ValueError("not a number")
    return found


def decimal(value: Any, context: Context) -> str:
    """An exact decimal number, kept as text so that no digit is lost."""
    try:
        number = Decimal(_number(value, context))
    except InvalidOperation as exc:
        raise ValueError("not a decimal number") from exc
    # 1e999999999 is six letters now and a gigabyte of digits when written out
    if not number.is_finite() or abs(number.as_tuple().exponent) > _POWERS:
        raise ValueError("not a number of reasonable size")
    return format(number, "f")


def boolean(value: Any, context: Context) -> bool:
    if isinstance(value, bool):
        return value
    word = text(value, context).lower()
    if word in {"1", "y", "yes", "t", "true"}:
        return True
    if word in {"0", "n", "no", "f", "false"}:
        return False
    raise ValueError("not yes or no")


def iso_date(value: Any, context: Context) -> str:
    """An ISO 8601 date; of a time, its date as written."""
    return _moment(text(value, context)).date().isoformat()


def iso_datetime(value: Any, context: Context) -> str:
    """An ISO 8601 time in UTC; without offset it is local to the partner."""
    return utc(_moment(text(value, context)), context)


def _moment(found: str) -> datetime:
    """Parts of a second are dropped; a date alone is its midnight."""
    parts = _ISO.fullmatch(found)
    if parts is None:
        raise ValueError("not an ISO 8601 time")
    day, clock, sign, hours, minutes = parts.groups(default="")
    offset = f"{sign}{hours}:{minutes}" if sign else ""
    if found[-1] in "Zz":
        offset = "+00:00"
    return datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset}")


def utc(moment: datetime, context: Context) -> str:
    """Canonical form of a moment: UTC, to the second, ending in Z."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(context.timezone))
    moment = moment.astimezone(timezone.utc).replace(microsecond=0, tzinfo=None)
    return f"{moment.isoformat()}Z"


CONVERTERS: dict[str, Converter] = {
    "text": text,
    "upper": upper,
    "integer": integer,
    "decimal": decimal,
    "boolean": boolean,
    "date": iso_date,
    "datetime": iso_datetime,
}
