"""The life of a message, as one table of moves."""

import pytest
from health_connector.lib import states
from health_connector.lib.states import MOVES, origins

#: the table again, written as the design tells it
LEGAL = """
pending     processing waiting cancelled
waiting     pending processing cancelled
processing  done ignored waiting parked unknown pending
parked      pending cancelled
unknown     processing done waiting parked cancelled
done        reverted
ignored
cancelled
reverted
"""
TABLE = {row.split()[0]: set(row.split()[1:]) for row in LEGAL.strip().splitlines()}
PAIRS = [(a, b) for a in TABLE for b in TABLE]


@pytest.mark.parametrize(("origin", "target"), PAIRS)
def test_every_move_is_legal_or_not(origin, target):
    legal = target in TABLE[origin]
    assert (target in MOVES[origin]) == legal
    assert (origin in origins(target)) == legal


def test_nine_states_and_no_other():
    assert set(states.STATES) == set(TABLE)
    assert len(states.STATES) == 9
    assert set().union(*MOVES.values()) <= set(states.STATES)


def test_open_and_closed_share_them_out():
    assert set(states.OPEN) | set(states.CLOSED) == set(states.STATES)
    assert not set(states.OPEN) & set(states.CLOSED)
    assert set(states.CLOSED) == {"done", "ignored", "cancelled", "reverted"}


def test_what_is_closed_never_opens_again():
    for state in states.CLOSED:
        assert not MOVES[state] & set(states.OPEN)


def test_every_open_message_can_still_end():
    reachable = {state: set(targets) for state, targets in MOVES.items()}
    for _round in MOVES:
        for targets in reachable.values():
            targets.update(*(reachable[each] for each in tuple(targets)))
    for state in states.OPEN:
        assert reachable[state] & set(states.CLOSED), state


def test_only_the_drain_may_finish_work():
    assert origins("done") == ("processing", "unknown")
    assert origins("ignored") == ("processing",)


def test_what_may_be_claimed_may_be_processed():
    assert set(states.CLAIMABLE) <= set(origins("processing"))
    assert set(states.CLAIMABLE) <= set(states.OPEN)


def test_the_table_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        MOVES["done"].add("pending")
