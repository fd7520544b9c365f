"""Converters: what each makes of a value, and what it refuses."""

from datetime import datetime, timedelta, timezone

import pytest
from health_connector.lib.convert import CONVERTERS, utc
from health_connector.lib.mapping import Context
from hypothesis import given, strategies as st

UTC = Context()
BERLIN = Context("Europe/Berlin")


def convert(name, value, context=UTC):
    return CONVERTERS[name](value, context)


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("text", "  a b ", "a b"),
        ("text", 7, "7"),
        ("upper", " straße ", "STRASSE"),
        ("integer", " 42 ", 42),
        ("integer", "-7", -7),
        ("integer", 10**30, 10**30),
        ("decimal", "1.50", "1.50"),
        ("decimal", "+.5", "0.5"),
        ("decimal", "1e3", "1000"),
        ("decimal", 0.1, "0.1"),
        ("decimal", "0.00000001", "0.00000001"),
        ("decimal", "123456789012345678901234567890.12", None),
        ("boolean", True, True),
        ("boolean", " Yes ", True),
        ("boolean", "N", False),
        ("boolean", 0, False),
        ("boolean", "1", True),
        ("date", "2026-02-28", "2026-02-28"),
        ("date", "2026-02-28T23:59:59-05:00", "2026-02-28"),
        ("date", datetime(2026, 2, 28, 12), "2026-02-28"),
        ("datetime", "2026-02-28", "2026-02-28T00:00:00Z"),
        ("datetime", "2026-02-28T10:00", "2026-02-28T10:00:00Z"),
        ("datetime", "2026-02-28 10:00:30.999999999Z", "2026-02-28T10:00:30Z"),
        ("datetime", "2026-02-28T10:00:00+05:30", "2026-02-28T04:30:00Z"),
        ("datetime", "2026-02-28T23:30:00-0100", "2026-03-01T00:30:00Z"),
        ("datetime", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
    ],
)
def test_what_fits(name, value, made):
    assert convert(name, value) == (value if made is None else made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, {"a": 1}) for name in CONVERTERS],
        *[(name, ["1"]) for name in CONVERTERS],
        ("integer", "1.0"),
        ("integer", "1_000"),
        ("integer", "\u0663"),
        ("integer", ""),
        ("integer", True),
        ("decimal", "1,5"),
        ("decimal", "1_000"),
        ("decimal", "NaN"),
        ("decimal", "-Infinity"),
        ("decimal", "1e999999999"),
        ("decimal", "1e-999999999"),
        ("boolean", "maybe"),
        ("boolean", ""),
        ("boolean", 2),
        ("date", "2026-02-30"),
        ("date", "2026-02-28x"),
        ("date", "2026-02-281"),
        ("date", "20260228"),
        ("date", "2026-W09-6"),
        ("date", "28.02.2026"),
        ("datetime", "2026-02-28T25:00:00"),
        ("datetime", "2026-02-28T10:00:00+99:00"),
        ("datetime", "2026-02-28T"),
        ("datetime", "10:00:00"),
        ("datetime", "tomorrow"),
    ],
)
def test_what_does_not_fit(name, value):
    with pytest.raises((ValueError, ArithmeticError)):
        convert(name, value)


def test_local_times_follow_the_partners_zone_through_the_year():
    assert convert("datetime", "2026-01-15T12:00:00", BERLIN) == "2026-01-15T11:00:00Z"
    assert convert("datetime", "2026-07-15T12:00:00", BERLIN) == "2026-07-15T10:00:00Z"
    assert convert("datetime", "2026-07-15T12:00:00Z", BERLIN) == "2026-07-15T12:00:00Z"


def test_an_unknown_zone_is_an_error_of_this_value():
    with pytest.raises((LookupError, ValueError)):
        convert("datetime", "2026-01-15T12:00:00", Context("Nowhere/City"))


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_moment_survives_its_offset(moment, minutes):
    moment = moment.replace(microsecond=0)
    local = moment.replace(tzinfo=timezone.utc).astimezone(
        timezone(timedelta(minutes=minutes))
    )
    assert convert("datetime", local.isoformat()) == f"{moment.isoformat()}Z"
    assert utc(local, BERLIN) == f"{moment.isoformat()}Z"


@given(st.decimals(-(10**12), 10**12, places=4))
def test_no_digit_of_an_amount_is_lost(amount):
    assert convert("decimal", str(amount)) == format(amount, "f")


@given(st.text(max_size=20))
def test_any_text_is_converted_or_refused(text):
    for name in CONVERTERS:
        try:
            convert(name, text, BERLIN)
        except (ValueError, ArithmeticError):
            pass
