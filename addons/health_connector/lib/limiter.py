"""A token bucket: how many calls may be made, and when the next one may.

The bucket is a value, ``(tokens, at)``, so that its owner may be a row in PostgreSQL
as well as a variable of one process. Tokens come in at ``per_second`` up to ``burst``;
over any stretch of time no more than ``burst + per_second × seconds`` are taken.
Times are seconds on any clock; one that goes backwards gives nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast tokens come in, and how many a quiet time may save up.

    :raises ValueError: a rate of zero or less, or a burst that holds no whole token
    """

    per_second: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not self.per_second > 0 or not self.burst >= 1:
            raise ValueError("a rate above 0 and a burst of at least 1 are needed")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens that were there at a moment. Never negative."""

    tokens: float
    at: float


def full(rate: Rate, now: float) -> Bucket:
    """The bucket before its first call."""
    return Bucket(rate.burst, now)


def fill(rate: Rate, bucket: Bucket, now: float) -> Bucket:
    """The bucket as of ``now``. A burst that was made smaller holds at once."""
    elapsed = max(0.0, now - bucket.at)
    tokens = min(rate.burst, bucket.tokens + elapsed * rate.per_second)
    return Bucket(max(0.0, tokens), max(now, bucket.at))


def take(rate: Rate, bucket: Bucket, now: float, n: int = 1) -> tuple[Bucket, bool]:
    """All ``n`` tokens, or none of them."""
    filled = fill(rate, bucket, now)
    if filled.tokens < n:
        return filled, False
    return Bucket(filled.tokens - n, filled.at), True


def reserve(rate: Rate, bucket: Bucket, now: float, most: int) -> tuple[Bucket, int]:
    """As many whole tokens as there are, up to ``most``: for who spends them himself,
    such as a process that would not ask the database for each."""
    filled = fill(rate, bucket, now)
    granted = min(most, int(filled.tokens))
    return Bucket(filled.tokens - granted, filled.at), granted


def wait(rate: Rate, bucket: Bucket, now: float, n: int = 1) -> float:
    """Seconds until ``n`` tokens are there; infinity for more than the burst."""
    if n > rate.burst:
        return math.inf
    return max(0.0, (n - fill(rate, bucket, now).tokens) / rate.per_second)
