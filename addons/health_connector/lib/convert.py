"""Converters every mapping may use. A codec adds those of its own format.

A converter takes the found value and the :class:`~.mapping.Context` and returns the
canonical one; a ``ValueError`` means that the value does not fit.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from .mapping import Context, Converter


def text(value: Any, context: Context) -> str:
    """The value as text without surrounding space."""
    return str(value).strip()


def upper(value: Any, context: Context) -> str:
    return text(value, context).upper()


def integer(value: Any, context: Context) -> int:
    return int(str(value).strip())


def decimal(value: Any, context: Context) -> str:
    """An exact decimal number, kept as text so that no digit is lost."""
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as exc:
        raise ValueError("not a decimal number") from exc
    if not number.is_finite():
        raise ValueError("not a finite number")
    return format(number, "f")


def boolean(value: Any, context: Context) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "y", "yes", "t", "true"}:
        return True
    if word in {"0", "n", "no", "f", "false"}:
        return False
    raise ValueError("not yes or no")


def iso_date(value: Any, context: Context) -> str:
    """An ISO 8601 date."""
    return date.fromisoformat(str(value).strip()[:10]).isoformat()


def iso_datetime(value: Any, context: Context) -> str:
    """An ISO 8601 time in UTC; without offset it is local to the partner."""
    moment = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    return utc(moment, context)


def utc(moment: datetime, context: Context) -> str:
    """Canonical form of a moment: UTC, to the second, ending in Z."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(context.timezone))
    moment = moment.astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


CONVERTERS: dict[str, Converter] = {
    "text": text,
    "upper": upper,
    "integer": integer,
    "decimal": decimal,
    "boolean": boolean,
    "date": iso_date,
    "datetime": iso_datetime,
}
