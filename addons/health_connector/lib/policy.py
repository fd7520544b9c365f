"""The error policy of an interface: what follows from each class of error.

Waiting follows a curve with full jitter (a uniform draw between zero and the curve),
which spreads the retries of many messages that failed together; the floor keeps a
partner from being hammered. Two budgets end it, whichever is used up first: a count of
tries and the time since the first failure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import breaker, errors

#: seconds between two tries at the least
FLOOR = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """What follows from one class of error. Seconds; a budget of 0 is none."""

    retried: bool = False
    base: float = 5.0
    cap: float = 900.0
    max_tries: int = 8
    max_age: float = 86400.0
    #: waits of the first, second … retry in place of the curve; the last one repeats
    delays: tuple[float, ...] = ()
    counts_for_breaker: bool = False
    opens_breaker: bool = False
    goes_to: str = "staff"


@dataclass(frozen=True, slots=True)
class Policy:
    """Lines by error class; a class without a line is not tried again."""

    lines: Mapping[str, Line] = field(default_factory=dict)

    def line(self, error_class: str) -> Line:
        return self.lines.get(error_class) or Line()

    def decide(
        self,
        error_class: str,
        tries: int,
        age_seconds: float,
        told: float | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> float | None:
        """Seconds until the next try, or None when the message must be parked.

        :param tries: counted tries so far, the failed one included
        :param age_seconds: time since the first failure of this row of tries
        :param told: seconds the partner asked for (Retry-After): honoured as told,
            whatever the cap says; a wish that outlasts the budget by age parks at once
        """
        line = self.line(error_class)
        if not line.retried:
            return None
        counted = self.counts_try(error_class, told)
        if counted and line.max_tries and tries >= line.max_tries:
            return None
        if line.max_age and age_seconds + (told or 0.0) >= line.max_age:
            return None
        if told is not None:
            return max(FLOOR, told)
        return max(FLOOR, _wait(line, tries, draw))

    def counts_try(self, error_class: str, told: float | None = None) -> bool:
        """A partner that says when to come back has not failed: such a round uses up
        no try, only time."""
        return not (error_class == errors.THROTTLED and told is not None)

    def effect(self, error_class: str | None) -> str:
        """What a call that ended so says to the breaker; None is success."""
        if error_class is None:
            return breaker.ANSWERED
        line = self.line(error_class)
        if line.opens_breaker:
            return breaker.OPENS
        if line.counts_for_breaker:
            return breaker.COUNTS
        if error_class == errors.THROTTLED:
            return breaker.NOTHING
        return breaker.ANSWERED


def _wait(line: Line, tries: int, draw: Callable[[float, float], float]) -> float:
    if line.delays:
        return line.delays[min(max(tries, 1), len(line.delays)) - 1]
    # 2 to the 60th second is far beyond any cap; more would not fit a float
    return draw(0.0, min(line.cap, line.base * 2 ** min(max(tries, 1) - 1, 60)))


def parse_delays(text: str | None) -> tuple[float, ...]:
    """``5, 60, 3600`` as seconds.

    :raises ValueError: not a list of numbers above zero
    """
    delays = tuple(float(part) for part in (text or "").split(",") if part.strip())
    if not all(0 < delay < float("inf") for delay in delays):
        raise ValueError("delays are numbers above zero")
    return delays
