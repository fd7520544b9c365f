"""Replay: its life, its pace and its forecast, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .verdict import FAILED, Verdict

DRAFT = "draft"
PREVIEWED = "previewed"
RUNNING = "running"
PAUSED = "paused"
DONE = "done"
CANCELLED = "cancelled"

#: state -> states it may move to; a draft may be previewed as often as one likes
MOVES: dict[str, frozenset[str]] = {
    DRAFT: frozenset({PREVIEWED, CANCELLED}),
    PREVIEWED: frozenset({PREVIEWED, RUNNING, CANCELLED}),
    RUNNING: frozenset({PAUSED, DONE, CANCELLED}),
    PAUSED: frozenset({RUNNING, CANCELLED}),
    DONE: frozenset(),
    CANCELLED: frozenset(),
}

#: at most so many messages are handed over at once, and wait to be applied
BATCH = 200
#: at most so many messages are rehearsed for a preview
SAMPLE = 200
#: live traffic goes first: accepted messages have 5, a lower number is more urgent
PRIORITY = 9


def may_move(origin: str, target: str) -> bool:
    return target in MOVES[origin]


def batch_size(per_minute: int) -> int:
    """Messages of one batch: never more than a minute's worth."""
    return max(1, min(BATCH, per_minute))


def seconds_between(per_minute: int) -> float:
    """Seconds from one full batch to the next, so that the pace holds."""
    return 60.0 * batch_size(per_minute) / max(1, per_minute)


def sample_step(total: int, bound: int = SAMPLE) -> int:
    """Rehearse every so many messages, spread over all, at most ``bound``."""
    return max(1, -(-total // bound))


@dataclass(slots=True)
class Forecast:
    """What a preview says, counted from verdicts."""

    size: int = 0
    change: int = 0
    noop: int = 0
    fail: int = 0
    #: would wait behind one of the same order key that needs a person
    behind: int = 0


def forecast(
    verdicts: Mapping[int, Verdict],
    order_keys: Mapping[int, str | None],
    stuck_keys: Iterable[str] = (),
) -> Forecast:
    """Count verdicts in the order of ids, as the drain would get to them.

    :param order_keys: {message id: order key or None}
    :param stuck_keys: order keys that a message holds up already
    """
    result, stuck = Forecast(size=len(verdicts)), set(stuck_keys)
    for message_id in sorted(verdicts):
        verdict, key = verdicts[message_id], order_keys.get(message_id)
        if key and key in stuck:
            result.behind += 1
        elif verdict.outcome == FAILED:
            result.fail += 1
            stuck.add(key)
        elif verdict.changes_nothing:
            result.noop += 1
        else:
            result.change += 1
    return result


def causes(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """{error code: how many would fail with it}, the most frequent first."""
    counts: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.outcome == FAILED:
            counts[verdict.code] = counts.get(verdict.code, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
