"""When to try again: capped exponential curve with full jitter.

Full jitter (a uniform draw between zero and the curve) spreads the retries of many
messages that failed together; the floor keeps a partner from being hammered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from . import errors

RETRIED = frozenset({errors.TRANSIENT, errors.THROTTLED})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds and counts of one interface's policy."""

    max_tries: int = 8
    base: float = 5.0
    cap: float = 900.0
    floor: float = 1.0

    def delay(
        self,
        error_class: str,
        tries: int,
        told: float | None = None,
        draw=random.uniform,
    ) -> float | None:
        """Seconds until the next try, or None when the message must be parked.

        :param tries: tries made so far, the failed one included
        :param told: seconds the partner asked for (Retry-After), honoured as told
        """
        if error_class not in RETRIED or tries >= self.max_tries:
            return None
        if told is not None:
            return max(self.floor, told)
        # 2 to the 60th second is far beyond any cap; more would not fit a float
        curve = min(self.cap, self.base * 2 ** min(tries - 1, 60))
        return max(self.floor, draw(0.0, curve))
