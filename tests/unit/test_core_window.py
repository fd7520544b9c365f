"""Maintenance windows: across midnight, through clock changes, in a row."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from health_connector.lib.window import Once, Weekly, open_until
from hypothesis import given, strategies as st

BERLIN = "Europe/Berlin"
SUNDAY, MONDAY = 6, 0
#: Berlin goes from +1 to +2 on 29 March 2026 and back on 25 October 2026


def utc(*parts):
    return datetime(*parts)


def test_a_window_is_in_the_partners_local_time():
    window = Weekly(MONDAY, 22 * 60, 23 * 60, BERLIN)
    assert window.until(utc(2026, 1, 5, 21, 30)) == utc(2026, 1, 5, 22)
    assert window.until(utc(2026, 7, 6, 20, 30)) == utc(2026, 7, 6, 21)
    assert window.until(utc(2026, 7, 6, 21, 0)) is None
    assert window.until(utc(2026, 7, 6, 19, 59)) is None
    assert window.until(utc(2026, 7, 7, 20, 30)) is None


def test_a_window_across_midnight_belongs_to_the_day_it_begins():
    window = Weekly(SUNDAY, 23 * 60, 2 * 60, BERLIN)
    end = utc(2026, 1, 12, 1)
    assert window.until(utc(2026, 1, 11, 22, 30)) == end
    assert window.until(utc(2026, 1, 12, 0, 30)) == end
    assert window.until(utc(2026, 1, 12, 1)) is None
    assert window.until(utc(2026, 1, 11, 0, 30)) is None


def test_a_whole_day():
    window = Weekly(MONDAY, 0, 0, "UTC")
    assert window.until(utc(2026, 1, 5)) == utc(2026, 1, 6)
    assert window.until(utc(2026, 1, 6)) is None


def test_in_spring_the_night_is_an_hour_shorter():
    window = Weekly(SUNDAY, 60, 4 * 60, BERLIN)
    end = utc(2026, 3, 29, 2)
    assert window.until(utc(2026, 3, 29, 0, 0)) == end
    assert window.until(utc(2026, 3, 29, 1, 59)) == end
    assert window.until(end) is None


def test_in_autumn_the_hour_that_comes_twice_is_in_it_twice():
    window = Weekly(SUNDAY, 2 * 60, 3 * 60, BERLIN)
    end = utc(2026, 10, 25, 2)
    assert window.until(utc(2026, 10, 25, 0, 0)) == end
    assert window.until(utc(2026, 10, 25, 1, 30)) == end
    assert window.until(end) is None
    halves = Weekly(SUNDAY, 60, 2 * 60 + 30, BERLIN)
    assert halves.until(utc(2026, 10, 25, 1, 29)) == utc(2026, 10, 25, 1, 30)


def test_a_start_that_the_clock_skips_is_not_lost():
    window = Weekly(SUNDAY, 2 * 60 + 30, 5 * 60, BERLIN)
    assert window.until(utc(2026, 3, 29, 1, 45)) == utc(2026, 3, 29, 3)


def test_once():
    window = Once(utc(2026, 5, 1, 10), utc(2026, 5, 1, 12))
    assert window.until(utc(2026, 5, 1, 10)) == utc(2026, 5, 1, 12)
    assert window.until(utc(2026, 5, 1, 12)) is None


def test_windows_that_follow_upon_each_other_are_one():
    night = Weekly(SUNDAY, 23 * 60, 2 * 60, "UTC")
    more = Once(utc(2026, 1, 12, 1, 30), utc(2026, 1, 12, 5))
    assert open_until([night, more], utc(2026, 1, 11, 23)) == utc(2026, 1, 12, 5)
    assert open_until([], utc(2026, 1, 1)) is None
    assert open_until([night, more], utc(2026, 1, 13)) is None


def test_a_partner_that_is_never_to_be_called_ends_the_search():
    always = [Weekly(day, 0, 0, "UTC") for day in range(7)]
    now = utc(2026, 1, 1, 12)
    assert open_until(always, now) > now + timedelta(days=7)


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Asia/Kathmandu", "UTC"])
@given(
    weekday=st.integers(0, 6),
    start=st.integers(0, 1439),
    end=st.integers(0, 1439),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_inside_is_what_the_partners_clock_says(zone, weekday, start, end, now):
    """Away from clock changes the window is a plain comparison of the clock's face."""
    window = Weekly(weekday, start, end, zone)
    local = now.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    offsets = {
        (local + timedelta(hours=hours))
        .astimezone(UTC)
        .astimezone(ZoneInfo(zone))
        .utcoffset()
        for hours in (-49, 0, 49)
    }
    if len(offsets) > 1:
        return
    minute = local.hour * 60 + local.minute
    length = (end - start) % 1440 or 1440
    since = (local.weekday() - weekday) % 7 * 1440 + minute - start
    inside = 0 <= since < length or 0 <= since + 7 * 1440 < length
    found = window.until(now)
    assert (found is not None) == inside
    if found:
        assert now < found <= now + timedelta(days=1)
