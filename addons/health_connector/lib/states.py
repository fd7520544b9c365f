"""The life of a message: one table of legal moves (design §3)."""

from __future__ import annotations

from datetime import datetime

PENDING = "pending"
PROCESSING = "processing"
WAITING = "waiting"
DONE = "done"
IGNORED = "ignored"
PARKED = "parked"
UNKNOWN = "unknown"
CANCELLED = "cancelled"
REVERTED = "reverted"

#: state -> states it may move to
MOVES: dict[str, frozenset[str]] = {
    # waiting: an earlier message of its order key needs a person
    PENDING: frozenset({PROCESSING, WAITING, CANCELLED}),
    WAITING: frozenset({PENDING, PROCESSING, CANCELLED}),
    # back to pending: the lease ended or the database asked for another try
    PROCESSING: frozenset({DONE, IGNORED, WAITING, PARKED, UNKNOWN, PENDING}),
    PARKED: frozenset({PENDING, CANCELLED}),
    UNKNOWN: frozenset({PROCESSING, DONE, WAITING, PARKED, CANCELLED}),
    DONE: frozenset({REVERTED}),
    IGNORED: frozenset(),
    CANCELLED: frozenset(),
    REVERTED: frozenset(),
}

STATES = tuple(MOVES)

#: how an interface takes part in a message: for real, rolled back, or not at all
LIVE, SHADOW, OFF = "live", "shadow", "off"

#: a message in one of these holds back later ones of its order key
OPEN = (PENDING, PROCESSING, WAITING, PARKED, UNKNOWN)
#: the drain may claim these
CLAIMABLE = (PENDING, WAITING)
#: later messages of the order key cannot be claimed along with these
BLOCKING = (PROCESSING, WAITING, PARKED, UNKNOWN)
#: of these a person decides; the drain takes what stands behind out of its way
STUCK = (PARKED, UNKNOWN)
#: the next try of a message that waits behind a stuck one: when that one is released
BEHIND = datetime(9999, 12, 31)
CLOSED = tuple(state for state in STATES if state not in OPEN)


def origins(target: str) -> tuple[str, ...]:
    """The states from which ``target`` may be reached."""
    return tuple(state for state, targets in MOVES.items() if target in targets)


def sql_list(states: tuple[str, ...]) -> str:
    """Literals for ``IN``: written out, so that partial indexes are recognised."""
    return "('" + "', '".join(states) + "')"
