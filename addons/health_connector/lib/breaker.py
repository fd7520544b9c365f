"""The breaker of a backend: when nobody calls a partner that does not answer.

closed ──failures, slow calls, refused credentials──▶ open ──pause──▶ half open
   ▲                                                   ▲                  │ one probe
   └──────────────── the probe was answered ───────────┼──────────────────┤
                                                       └──────────────────┘ it failed

The breaker is a value and its moves are functions; ``models/health_gate.py`` keeps the
value in a locked row, so that all processes share it and one alone gets the probe.
Times are naive UTC.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"
STATES = (CLOSED, OPEN, HALF_OPEN)

#: what a call says about the partner
ANSWERED = "answered"  # it works
COUNTS = "counts"  # one more failure in a row
OPENS = "opens"  # no further call makes sense
NOTHING = "nothing"  # it works, but neither ends nor adds to a row of failures


@dataclass(frozen=True, slots=True)
class Settings:
    """When to open and for how long. A count of 0 switches that reason off."""

    failures: int = 5
    slow_calls: int = 10
    slow_seconds: float = 10.0
    pause: float = 30.0
    pause_cap: float = 900.0
    #: seconds after which a probe without an answer is taken for dead
    probe_lease: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker of one backend."""

    state: str = CLOSED
    #: failures, and slow calls, in a row
    failures: int = 0
    slow: int = 0
    #: openings since a call was answered
    openings: int = 0
    #: open: when a probe may go; half open: when the probe is taken for dead; open and
    #: none: a person opened it, and a person closes it
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """May a call be made? If not, ``until`` says when to ask again, if ever."""

    allowed: bool
    probe: bool = False
    until: datetime | None = None


def ask(breaker: Breaker, settings: Settings, now: datetime) -> tuple[Breaker, Answer]:
    """Before a call. The one that gets ``probe`` decides for all others."""
    if breaker.state == CLOSED:
        return breaker, Answer(True)
    if breaker.until is None or now < breaker.until:
        return breaker, Answer(False, until=breaker.until)
    lease = now + timedelta(seconds=settings.probe_lease)
    return replace(breaker, state=HALF_OPEN, until=lease), Answer(True, probe=True)


def report(
    breaker: Breaker,
    settings: Settings,
    effect: str,
    seconds: float,
    now: datetime,
    probe: bool = False,
    draw: Callable[[float, float], float] = random.uniform,
) -> Breaker:
    """After a call.

    While the breaker is not closed only a probe decides: calls that were under way
    when it opened say nothing new. What a person opened stays open.

    :param effect: one of the four words above
    :param seconds: how long the call took
    """
    if breaker.state == OPEN and breaker.until is None:
        return breaker
    if breaker.state != CLOSED and not probe:
        return breaker
    if effect == OPENS:
        return _opened(breaker, settings, now, draw)
    if effect == COUNTS:
        return _failed(breaker, settings, now, draw)
    return _answered(breaker, settings, effect, seconds, now, draw)


def reason(before: Breaker, settings: Settings, effect: str) -> str:
    """Why :func:`report` opened it: ``auth``, ``failures``, ``slow`` or ``probe``."""
    if before.state != CLOSED:
        return "probe"
    if effect == OPENS:
        return "auth"
    return "failures" if effect == COUNTS else "slow"


def _failed(breaker, settings, now, draw):
    if breaker.state != CLOSED:
        return _opened(breaker, settings, now, draw)
    failures = breaker.failures + 1
    counted = replace(breaker, failures=failures)
    if settings.failures and failures >= settings.failures:
        return _opened(counted, settings, now, draw)
    return counted


def _answered(breaker, settings, effect, seconds, now, draw):
    """An answer closes the breaker; too many slow ones in a row open it again."""
    slow = breaker.slow + 1 if seconds >= settings.slow_seconds else 0
    if breaker.state != CLOSED:
        # the pauses begin anew only when calls are answered in time again
        return Breaker(slow=slow, openings=breaker.openings if slow else 0)
    if settings.slow_calls and slow >= settings.slow_calls:
        return _opened(replace(breaker, slow=slow), settings, now, draw)
    failures = breaker.failures if effect == NOTHING else 0
    openings = breaker.openings if slow or effect == NOTHING else 0
    return Breaker(failures=failures, slow=slow, openings=openings)


def _opened(breaker, settings, now, draw):
    """Each opening without an answer between doubles the pause, up to the cap; the
    draw keeps the probes of many backends apart."""
    if breaker.state == OPEN:
        return breaker
    openings = breaker.openings + 1
    # 2 to the 60th second is far beyond any cap; more would not fit a float
    pause = min(settings.pause_cap, settings.pause * 2 ** min(openings - 1, 60))
    until = now + timedelta(seconds=draw(pause / 2, pause))
    return replace(breaker, state=OPEN, openings=openings, until=until)
