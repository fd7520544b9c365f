"""Random lives of a message by the table of legal moves: what must never happen,
whatever the order in which workers, people and crashes move it."""

import hypothesis.strategies as st
from health_connector.lib import states
from hypothesis import given, settings

#: a state to ask for; most of what is asked for at random is not allowed
requests = st.lists(st.sampled_from(states.STATES), max_size=40)


def live(asked, start=states.PENDING):
    """The states a message goes through: legal requests move it, others do not."""
    path = [start]
    for target in asked:
        if path[-1] in states.origins(target):
            path.append(target)
    return path


@settings(max_examples=500)
@given(requests)
def test_nothing_leaves_a_closed_state_but_a_revert(asked) -> None:
    path = live(asked)
    for state, following in zip(path, path[1:], strict=False):
        if state in states.CLOSED:
            assert (state, following) == (states.DONE, states.REVERTED)


@settings(max_examples=500)
@given(requests)
def test_nothing_is_done_without_being_claimed_first(asked) -> None:
    path = live(asked)
    for number, state in enumerate(path):
        if state in (states.DONE, states.IGNORED, states.PARKED):
            assert path[number - 1] in (states.PROCESSING, states.UNKNOWN)
    assert path.count(states.DONE) <= 1


@settings(max_examples=500)
@given(requests)
def test_a_person_s_decision_stands(asked) -> None:
    """What is cancelled or reverted stays so."""
    path = live(asked)
    for final in (states.CANCELLED, states.REVERTED, states.IGNORED):
        assert final not in path or path[-1] == final


@settings(max_examples=500)
@given(requests, st.randoms(use_true_random=False))
def test_from_every_open_state_there_is_a_way_to_an_end(asked, draw) -> None:
    state = live(asked)[-1]
    steps = 0
    while state in states.OPEN:
        moves = sorted(states.MOVES[state])
        ends = [move for move in moves if move in states.CLOSED]
        state = draw.choice(ends or moves)
        steps += 1
        assert steps < 50
    assert state in states.CLOSED


def test_the_lists_of_states_fit_each_other() -> None:
    # only what nobody has touched yet may be claimed together with those before it
    assert set(states.OPEN) - set(states.BLOCKING) == {states.PENDING}
    assert set(states.CLAIMABLE) <= set(states.origins(states.PROCESSING))
    assert not set(states.STUCK) & set(states.CLAIMABLE)
    assert set(states.STUCK) <= set(states.BLOCKING)
