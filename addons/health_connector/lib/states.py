"""The life of a message: one table of legal moves (design §3)."""

from __future__ import annotations

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
    PENDING: frozenset({PROCESSING, CANCELLED}),
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
#: a message in one of these holds back later ones of its order key
OPEN = (PENDING, PROCESSING, WAITING, PARKED, UNKNOWN)
#: the drain may claim these
CLAIMABLE = (PENDING, WAITING)
CLOSED = tuple(state for state in STATES if state not in OPEN)


def origins(target: str) -> tuple[str, ...]:
    """The states from which ``target`` may be reached."""
    return tuple(state for state, targets in MOVES.items() if target in targets)
