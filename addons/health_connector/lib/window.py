"""Maintenance windows of a partner: until when is it not to be called?

A weekly window is told in the partner's local time, so a night's maintenance stays at
the same hour of its clock all year. Moments are naive UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Weekly:
    """Minutes of the local day on one weekday (0 is Monday). An end that is not after
    the start is one of the next day; 0 to 0 is the whole day."""

    weekday: int
    start: int
    end: int
    zone: str

    def until(self, now: datetime) -> datetime | None:
        """The end of the window that ``now`` is in. An hour that the clock shows twice
        is in it both times."""
        zone = ZoneInfo(self.zone)
        today = now.replace(tzinfo=UTC).astimezone(zone).date()
        # the one that began yesterday may last until tonight
        for day in (today - timedelta(days=1), today):
            if day.weekday() != self.weekday:
                continue
            length = _DAY if self.end <= self.start else 0
            start = _moment(day, self.start, zone, fold=0)
            end = _moment(day, self.end + length, zone, fold=1)
            if start <= now < end:
                return end
        return None


@dataclass(frozen=True, slots=True)
class Once:
    """From one moment to another."""

    start: datetime
    end: datetime

    def until(self, now: datetime) -> datetime | None:
        return self.end if self.start <= now < self.end else None


def open_until(
    windows: Iterable[Weekly | Once], now: datetime, most: int = 32
) -> datetime | None:
    """When the last of the windows that follow upon each other from ``now`` ends.

    :param most: windows without a gap that are followed; a partner that is never to be
        called is asked about again after that many
    """
    windows, at = list(windows), now
    for _each in range(most):
        ends = [end for window in windows if (end := window.until(at))]
        if not ends:
            break
        at = max(ends)
    return at if at > now else None


def _moment(day: date, minutes: int, zone: ZoneInfo, fold: int) -> datetime:
    days, minutes = divmod(minutes, _DAY)
    local = datetime.combine(
        day + timedelta(days=days), time(*divmod(minutes, 60)), zone
    ).replace(fold=fold)
    return local.astimezone(UTC).replace(tzinfo=None)
