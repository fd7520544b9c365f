"""The gate of a backend: breaker, rate, and how many calls at once, as one value.

It is asked before each outbound call and told what came of it. What it grants it also
takes, so whoever keeps the value must let one caller in at a time; PostgreSQL does, by
a locked row (``models/health_gate.py``). Times are naive UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from . import breaker as breakers, limiter
from .breaker import Breaker
from .limiter import Bucket, Rate

_EPOCH = datetime(1970, 1, 1)
#: seconds after which a caller without a place may ask again
BUSY = 1.0


@dataclass(frozen=True, slots=True)
class Permit:
    """The gate's answer.

    :param until: naive UTC; when to ask again, None when a person decides
    :param reason: ``paused``, ``window``, ``inactive``, ``told``, ``breaker``, ``busy``
        or ``rate``
    :param probe: this call decides whether the breaker closes
    """

    allowed: bool
    until: datetime | None = None
    reason: str = ""
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What people configured. Without a rate, or with 0 calls, there is no limit."""

    breaker: breakers.Settings = field(default_factory=breakers.Settings)
    rate: Rate | None = None
    max_calls: int = 0
    #: seconds after which the place of a caller that says nothing is free again
    call_lease: float = 120.0


@dataclass(frozen=True, slots=True)
class Gate:
    """What the calls so far left behind.

    :param calls: callers that hold a place, with the end of their lease in seconds
    :param told_until: the partner asked not to be called before
    """

    breaker: Breaker = field(default_factory=Breaker)
    bucket: Bucket | None = None
    calls: Mapping[str, float] = field(default_factory=dict)
    told_until: datetime | None = None


def permit(
    gate: Gate, limits: Limits, now: datetime, caller: str
) -> tuple[Gate, Permit]:
    """May ``caller`` make one call now? A refusal leaves the gate as it is."""
    if gate.told_until and now < gate.told_until:
        return gate, Permit(False, gate.told_until, "told")
    breaker, answer = breakers.ask(gate.breaker, limits.breaker, now)
    if not answer.allowed:
        return gate, Permit(False, answer.until, "breaker")
    seconds = (now - _EPOCH).total_seconds()
    calls = _live(gate, seconds, caller)
    if limits.max_calls and len(calls) >= limits.max_calls:
        return gate, Permit(False, now + timedelta(seconds=BUSY), "busy")
    bucket, wait = _take(gate.bucket, limits.rate, seconds)
    if wait:
        return gate, Permit(False, now + timedelta(seconds=wait), "rate")
    calls[caller] = seconds + limits.call_lease
    granted = Gate(breaker, bucket, calls, None)
    return granted, Permit(True, probe=answer.probe)


def report(
    gate: Gate,
    limits: Limits,
    now: datetime,
    caller: str,
    effect: str,
    seconds: float,
    probe: bool = False,
    told: float | None = None,
) -> Gate:
    """What the caller's call came to; its place is free again.

    A breaker that closes leaves one call in the bucket: the backlog behind it comes at
    the configured rate, not in a burst.

    :param told: seconds the partner asked for
    """
    at = (now - _EPOCH).total_seconds()
    breaker = breakers.report(gate.breaker, limits.breaker, effect, seconds, now, probe)
    bucket = gate.bucket
    if bucket and breaker.state == breakers.CLOSED != gate.breaker.state:
        bucket = replace(bucket, tokens=min(1.0, bucket.tokens))
    told_until = gate.told_until
    if told:
        asked = now + timedelta(seconds=min(told, 86400.0))
        told_until = max(told_until or asked, asked)
    return Gate(breaker, bucket, _live(gate, at, caller), told_until)


def leave(gate: Gate, now: datetime, caller: str, probe: bool = False) -> Gate:
    """The caller made no call after all: its place is free, and so is the probe."""
    calls = _live(gate, (now - _EPOCH).total_seconds(), caller)
    breaker = gate.breaker
    if probe and breaker.state == breakers.HALF_OPEN:
        breaker = replace(breaker, state=breakers.OPEN, until=now)
    return replace(gate, breaker=breaker, calls=calls)


def _live(gate: Gate, seconds: float, caller: str) -> dict[str, float]:
    """The others' places; one whose lease has ended is free."""
    return {
        each: end
        for each, end in gate.calls.items()
        if end > seconds and each != caller
    }


def _take(bucket, rate, seconds):
    """The bucket without one call, and the seconds to wait if there was none left."""
    if rate is None:
        return bucket, 0.0
    bucket = bucket or limiter.full(rate, seconds)
    wait = limiter.wait(rate, bucket, seconds)
    return (bucket, wait) if wait else (limiter.take(rate, bucket, seconds)[0], 0.0)
