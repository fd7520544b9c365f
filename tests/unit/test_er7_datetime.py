"""Dates and times keep their precision and are never read in the server's zone."""

from datetime import date, datetime, timedelta, timezone

import pytest
from health_connector_hl7.lib.datetime_hl7 import (
    Er7Error,
    parse_timestamp,
    write_timestamp,
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def utc(*numbers):
    return datetime(*numbers, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "value", "precision"),
    [
        ("1980", date(1980, 1, 1), "year"),
        ("198002", date(1980, 2, 1), "month"),
        ("19800229", date(1980, 2, 29), "day"),
        ("19800229+0100", date(1980, 2, 29), "day"),
        ("2026112208", utc(2026, 11, 22, 7), "hour"),
        ("202611220815", utc(2026, 11, 22, 7, 15), "minute"),
        ("20261122081501", utc(2026, 11, 22, 7, 15, 1), "second"),
        ("20261122081501.25", utc(2026, 11, 22, 7, 15, 1, 250_000), "fraction"),
        ("20261122081501-0500", utc(2026, 11, 22, 13, 15, 1), "second"),
        ("202611220815+0530", utc(2026, 11, 22, 2, 45), "minute"),
        ("20260722081501", utc(2026, 7, 22, 6, 15, 1), "second"),
        (" 20260722081501 ", utc(2026, 7, 22, 6, 15, 1), "second"),
    ],
)
def test_values_and_precision(text, value, precision):
    stamp = parse_timestamp(text, BERLIN)
    assert (stamp.value, stamp.precision) == (value, precision)
    assert type(stamp.value) is type(value)
    assert (stamp.original, stamp.note) == (text, "")


def test_the_zone_is_that_of_the_partner(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    there = parse_timestamp("20261122081500", NEW_YORK).value
    assert there == utc(2026, 11, 22, 13, 15)


def test_a_local_time_that_occurs_twice_is_flagged_and_the_first_one():
    stamp = parse_timestamp("20261025023000", BERLIN)
    assert (stamp.value, stamp.note) == (utc(2026, 10, 25, 0, 30), "ambiguous")
    assert parse_timestamp("20261025023000+0100", BERLIN).note == ""


def test_a_local_time_that_the_clock_skips_is_flagged():
    assert parse_timestamp("20260329023000", BERLIN).note == "nonexistent"
    assert parse_timestamp("20260308023000", NEW_YORK).note == "nonexistent"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "20260230",
        "20261301",
        "00000000",
        "2026112",
        "20261122081560",
        "20261122241500",
        "202611220815.5",
        "20261122081501+1500",
        "20261122081501+0160",
        "20261122081501Z",
        "2026-11-22",
        "٢٠٢٦١١٢٢",
        "00010101000000+1400",
        "99991231235959-1200",
        "1" * 400,
    ],
)
def test_what_is_no_date_is_refused_without_repeating_it(text):
    with pytest.raises(Er7Error) as caught:
        parse_timestamp(text, BERLIN)
    error = caught.value
    assert (error.code, error.hl7_code, str(error)) == (
        "er7.timestamp",
        "102",
        error.code,
    )


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../etc/passwd", "\0"])
def test_an_unknown_zone_is_an_error_only_where_it_is_needed(zone):
    assert parse_timestamp("20261122", zone).value == date(2026, 11, 22)
    assert parse_timestamp("20261122081500+0000", zone).precision == "second"
    with pytest.raises(Er7Error) as caught:
        parse_timestamp("20261122081500", zone)
    assert (caught.value.code, caught.value.error_class) == ("er7.timezone", "bug")


def test_writing():
    assert write_timestamp(date(980, 2, 29)) == "09800229"
    assert write_timestamp(utc(2026, 7, 22, 6, 15)) == "20260722061500+0000"
    assert write_timestamp(utc(2026, 7, 22, 6, 15), BERLIN) == "20260722081500+0200"
    offset = timezone(-timedelta(hours=3, minutes=30))
    there = datetime(2026, 7, 22, 6, 15, tzinfo=offset)
    assert parse_timestamp(write_timestamp(there, BERLIN), "UTC").value == there
    with pytest.raises(Er7Error):
        write_timestamp(datetime(2026, 7, 22))
