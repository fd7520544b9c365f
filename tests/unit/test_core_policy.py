"""When to try again: within the curve, within both budgets, and only what can heal."""

import math

import pytest
from health_connector.lib import breaker
from health_connector.lib.errors import (
    AUTH,
    ERROR_CLASSES,
    REJECTED,
    THROTTLED,
    TRANSIENT,
    Failure,
    HealthError,
    failure_of,
)
from health_connector.lib.policy import FLOOR, Line, Policy, parse_delays
from hypothesis import given, strategies as st

DAY = 86400.0
CURVE = Line(retried=True, base=5.0, cap=900.0, max_tries=8, max_age=DAY)
POLICY = Policy({TRANSIENT: CURVE, THROTTLED: CURVE})

lines = st.builds(
    Line,
    retried=st.just(True),
    base=st.floats(0.001, 1e4),
    cap=st.floats(1.0, 1e6),
    max_tries=st.integers(0, 5000),
    max_age=st.just(0.0) | st.floats(1.0, 1e7),
)
ages = st.floats(0, 1e8)
tries = st.integers(1, 5000)


def low(start, end):
    return start


def high(start, end):
    return end


@given(lines, tries, ages)
def test_full_jitter_between_the_floor_and_the_capped_curve(line, tries, age):
    policy = Policy({TRANSIENT: line})
    delay = policy.decide(TRANSIENT, tries, age)
    spent = line.max_tries and tries >= line.max_tries
    old = line.max_age and age >= line.max_age
    assert (delay is None) == bool(spent or old)
    if delay is not None:
        most = policy.decide(TRANSIENT, tries, age, draw=high)
        assert FLOOR <= delay <= most <= max(line.cap, FLOOR)
        assert policy.decide(TRANSIENT, tries, age, draw=low) == FLOOR


@given(lines, tries)
def test_the_curve_never_falls(line, tries):
    policy = Policy({TRANSIENT: line})
    now, then = (
        policy.decide(TRANSIENT, each, 0.0, draw=high) for each in (tries, tries + 1)
    )
    assert then is None or now <= then


def test_the_curve_doubles_up_to_its_cap():
    ends = [POLICY.decide(TRANSIENT, tries, 0.0, draw=high) for tries in range(1, 9)]
    assert ends == [5, 10, 20, 40, 80, 160, 320, None]
    capped = Policy({TRANSIENT: Line(retried=True, max_tries=0, cap=60.0)})
    assert capped.decide(TRANSIENT, 4000, 0.0, draw=high) == 60.0


def test_the_draw_is_uniform_and_differs():
    drawn = [POLICY.decide(TRANSIENT, 5, 0.0) for _each in range(300)]
    assert len(set(drawn)) > 250
    assert min(drawn) < 20
    assert max(drawn) > 60
    assert 30 < sum(drawn) / len(drawn) < 50


def test_the_budget_by_age_ends_it_before_the_count_does():
    assert POLICY.decide(TRANSIENT, 2, DAY - 1) is not None
    assert POLICY.decide(TRANSIENT, 2, DAY) is None


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_what_has_no_line_is_parked_at_once(error_class):
    assert Policy().decide(error_class, 1, 0.0) is None
    assert Policy().decide(error_class, 1, 0.0, told=5.0) is None


def test_fixed_waits_replace_the_curve_and_the_last_one_repeats():
    line = Line(retried=True, max_tries=6, delays=(10.0, 60.0, 3600.0))
    policy = Policy({TRANSIENT: line})
    waits = [policy.decide(TRANSIENT, tries, 0.0) for tries in range(1, 7)]
    assert waits == [10, 60, 3600, 3600, 3600, None]


@given(st.floats(0, DAY - 1), tries)
def test_what_the_partner_asks_for_is_honoured_above_cap_and_count(told, tries):
    assert POLICY.decide(THROTTLED, tries, 0.0, told=told) == max(FLOOR, told)


def test_a_told_wait_uses_up_time_and_no_try():
    assert not POLICY.counts_try(THROTTLED, 5.0)
    assert POLICY.counts_try(THROTTLED)
    assert POLICY.counts_try(TRANSIENT, 5.0)
    assert POLICY.decide(THROTTLED, 99, DAY - 10, told=5.0) == 5.0
    assert POLICY.decide(THROTTLED, 99, DAY, told=5.0) is None
    assert POLICY.decide(THROTTLED, 1, DAY - 10, told=60.0) is None


def test_without_a_told_time_being_throttled_counts():
    assert POLICY.decide(THROTTLED, 7, 0.0) is not None
    assert POLICY.decide(THROTTLED, 8, 0.0) is None


def test_a_told_wait_of_another_class_is_followed_and_counted():
    assert POLICY.decide(TRANSIENT, 7, 0.0, told=120.0) == 120.0
    assert POLICY.decide(TRANSIENT, 8, 0.0, told=120.0) is None


def test_what_the_breaker_is_told():
    policy = Policy(
        {
            TRANSIENT: Line(counts_for_breaker=True),
            AUTH: Line(opens_breaker=True, counts_for_breaker=True),
        }
    )
    assert policy.effect(None) == breaker.ANSWERED
    assert policy.effect(TRANSIENT) == breaker.COUNTS
    assert policy.effect(AUTH) == breaker.OPENS
    assert policy.effect(REJECTED) == breaker.ANSWERED
    assert policy.effect(THROTTLED) == breaker.NOTHING


def test_delays_are_read_as_written():
    assert parse_delays("5, 60,3600") == (5.0, 60.0, 3600.0)
    assert parse_delays("") == parse_delays(None) == ()


@pytest.mark.parametrize("text", ["x", "5;6", "0", "-1", "nan", "inf"])
def test_delays_that_are_no_waits_are_refused(text):
    with pytest.raises(ValueError):
        parse_delays(text)


@pytest.mark.parametrize(
    ("told", "kept"),
    [(30, 30.0), (0, 0.0), (None, None), (-1, None), (math.nan, None), ("9", None)],
)
def test_an_error_carries_what_the_partner_asked_for(told, kept):
    error = HealthError("http.slow_down", THROTTLED, retry_after=told)
    assert failure_of(error).retry_after == kept
    assert Failure("x", TRANSIENT).counted
