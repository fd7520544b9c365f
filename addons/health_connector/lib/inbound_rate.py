"""How fast a partner may send: one bucket for all processes, few looks at it.

The bucket of a backend is a row in PostgreSQL. A lock on it for every message would
make all doors wait in one line, so each process takes a chunk of tokens and spends it
by itself. A chunk is small at first and grows while it is spent quickly; what is left
of it after a second is dropped, never hoarded. So no more than the burst and the rate
are ever let in, however many processes there are, and a little less where traffic
comes and goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .limiter import Rate

#: seconds within which a chunk must be spent to grow, and after which it is dropped
BRISK, STALE = 0.25, 1.0
#: the longest chunk, in seconds of the whole rate
LONGEST = 0.25

# The clock is the database's: those of several nodes differ. A row lock is held for
# this statement only; at READ COMMITTED it sees what the one before it has left.
_FILLED = """LEAST(%(burst)s::float8, COALESCE(in_tokens, %(burst)s::float8)
    + %(rate)s::float8 * GREATEST(0, COALESCE(extract(epoch FROM
        clock_timestamp() AT TIME ZONE 'UTC' - in_tokens_at), 0)))"""
_RESERVE = f"""
UPDATE health_backend_state
   SET in_granted = LEAST(%(wanted)s, floor({_FILLED})),
       in_tokens = {_FILLED} - LEAST(%(wanted)s, floor({_FILLED})),
       in_tokens_at = GREATEST(in_tokens_at, clock_timestamp() AT TIME ZONE 'UTC')
 WHERE backend_id = %(backend_id)s
RETURNING in_granted, in_tokens
"""

_BEGIN = """
INSERT INTO health_backend_state (backend_id) VALUES (%(backend_id)s)
ON CONFLICT (backend_id) DO NOTHING
"""

_RATES = """
SELECT id, rate_in, rate_in_burst FROM health_backend WHERE active AND rate_in > 0
"""


def rate_of(per_second: float | None, burst: int | None) -> Rate | None:
    """The limit that a backend's settings mean; None for none."""
    if not per_second or per_second <= 0:
        return None
    return Rate(per_second, max(1.0, burst or per_second))


def find_rates(cr: Any) -> dict[int, Rate]:
    """The limits of all backends that have one."""
    cr.execute(_RATES)
    return {row[0]: rate_of(row[1], row[2]) for row in cr.fetchall()}


def reserve(cr: Any, backend_id: int, rate: Rate, wanted: int) -> tuple[int, float]:
    """Take up to ``wanted`` tokens; (granted, seconds until there is one more).

    The caller commits at once, at READ COMMITTED: nobody is to wait for the lock.
    """
    wish = {
        "backend_id": backend_id,
        "rate": rate.per_second,
        "burst": rate.burst,
        "wanted": wanted,
    }
    cr.execute(_RESERVE, wish)
    found = cr.fetchall()
    if not found:  # a backend that has no row of state yet
        cr.execute(_BEGIN, wish)
        cr.execute(_RESERVE, wish)
        found = cr.fetchall()
    granted, tokens = found[0]
    return int(granted), max(0.0, (1 - tokens) / rate.per_second)


@dataclass(slots=True)
class _Chunk:
    left: int = 0
    size: int = 1
    taken_at: float = 0.0
    shut_until: float = 0.0


class Allowance:
    """What this process may let in; one per process, used by one thread at a time
    (:meth:`wait` by any)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._chunks: dict[int, _Chunk] = {}

    def wait(self, backend_id: int) -> float:
        """Seconds for which it is known that nothing is let in; 0.0 otherwise."""
        chunk = self._chunks.get(backend_id)
        return max(0.0, chunk.shut_until - self._clock()) if chunk else 0.0

    def take(
        self,
        backend_id: int,
        rate: Rate,
        count: int,
        reserve: Callable[[int], tuple[int, float]],
    ) -> int:
        """How many of ``count`` messages may come in.

        :param reserve: takes up to so many tokens from the shared bucket; see
            :func:`reserve`
        """
        chunk = self._chunks.setdefault(backend_id, _Chunk())
        now = self._clock()
        if now - chunk.taken_at > STALE:
            chunk.left, chunk.size = 0, 1
        if chunk.left < count and now >= chunk.shut_until:
            self._refill(chunk, rate, count, now, reserve)
        granted = min(chunk.left, count)
        chunk.left -= granted
        return granted

    @staticmethod
    def _refill(
        chunk: _Chunk,
        rate: Rate,
        count: int,
        now: float,
        reserve: Callable[[int], tuple[int, float]],
    ) -> None:
        if now - chunk.taken_at < BRISK:
            longest = max(1, int(rate.per_second * LONGEST))
            chunk.size = min(chunk.size * 2, longest)
        wanted = count - chunk.left + chunk.size - 1
        granted, wait = reserve(wanted)
        chunk.left += granted
        chunk.taken_at = now
        chunk.shut_until = now + wait if granted < wanted else 0.0
