"""The life, the pace and the forecast of a replay."""

import pytest
from health_connector.lib.replay import (
    BATCH,
    MOVES,
    SAMPLE,
    batch_size,
    causes,
    forecast,
    may_move,
    sample_step,
    seconds_between,
)
from health_connector.lib.verdict import Verdict
from hypothesis import given, strategies as st

DONE, NOOP = Verdict("done", changes=2), Verdict("ignored", "lab.stale")
FAIL = Verdict("failed", "lab.order_unknown")


def test_what_has_ended_does_not_begin_again():
    for ended in ("done", "cancelled"):
        assert not any(may_move(ended, target) for target in MOVES)


def test_nothing_runs_without_a_preview():
    assert not may_move("draft", "running")
    assert may_move("previewed", "running")
    assert may_move("paused", "running")


@given(st.integers(1, 100_000))
def test_the_pace_holds(per_minute):
    size, pause = batch_size(per_minute), seconds_between(per_minute)
    assert 1 <= size <= BATCH
    assert size / pause * 60 == pytest.approx(per_minute)


@given(st.integers(0, 2_000_000))
def test_a_sample_keeps_its_bound_and_is_all_when_it_can_be(total):
    step = sample_step(total)
    assert total // step <= SAMPLE
    assert (step == 1) == (total <= SAMPLE)


def test_verdicts_are_counted():
    found = forecast({1: DONE, 2: NOOP, 3: FAIL, 4: Verdict("done")}, {})
    assert (found.size, found.change, found.noop, found.fail) == (4, 1, 2, 1)


def test_what_stands_behind_a_failing_one_of_its_key_would_wait():
    keys = {1: "a", 2: "a", 3: "b", 4: None, 5: None, 6: None}
    verdicts = {1: FAIL, 2: DONE, 3: DONE, 4: FAIL, 5: DONE, 6: NOOP}
    found = forecast(verdicts, keys)
    assert (found.fail, found.behind, found.change, found.noop) == (2, 1, 2, 1)


def test_what_stands_behind_one_that_needs_a_person_already_would_wait():
    found = forecast({1: DONE, 2: NOOP, 3: DONE}, {1: "a", 2: "a", 3: "b"}, {"a"})
    assert (found.behind, found.change, found.noop) == (2, 1, 0)


def test_causes_the_most_frequent_first():
    other = Verdict("failed", "mapping.code")
    assert list(causes([other, FAIL, FAIL, DONE]).items()) == [
        ("lab.order_unknown", 2),
        ("mapping.code", 1),
    ]
