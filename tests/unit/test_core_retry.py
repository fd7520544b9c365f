"""When to try again: within the curve, within the budget, and only what can heal."""

import pytest
from health_connector.lib.errors import ERROR_CLASSES, THROTTLED, TRANSIENT
from health_connector.lib.retry import RETRIED, RetryPolicy
from hypothesis import given, strategies as st

POLICY = RetryPolicy(max_tries=8, base=5.0, cap=900.0, floor=1.0)

policies = st.builds(
    RetryPolicy,
    max_tries=st.integers(2, 5000),
    base=st.floats(0.001, 1e4),
    cap=st.floats(1.0, 1e6),
    floor=st.floats(0.0, 1.0),
)


def low(start, end):
    return start


def high(start, end):
    return end


@given(policies, st.integers(1, 5000))
def test_full_jitter_between_the_floor_and_the_capped_curve(policy, tries):
    delay = policy.delay(TRANSIENT, tries)
    if tries >= policy.max_tries:
        assert delay is None
        return
    most = policy.delay(TRANSIENT, tries, draw=high)
    assert policy.floor <= delay <= most
    assert policy.delay(TRANSIENT, tries, draw=low) == policy.floor
    assert most <= max(policy.cap, policy.floor)


@given(policies, st.integers(1, 1000))
def test_the_curve_never_falls(policy, tries):
    assert policy.max_tries <= tries + 1 or policy.delay(
        TRANSIENT, tries, draw=high
    ) <= policy.delay(TRANSIENT, tries + 1, draw=high)


def test_the_curve_doubles_up_to_its_cap():
    ends = [POLICY.delay(TRANSIENT, tries, draw=high) for tries in range(1, 9)]
    assert ends == [5, 10, 20, 40, 80, 160, 320, None]
    capped = RetryPolicy(max_tries=20, cap=60.0)
    assert capped.delay(TRANSIENT, 19, draw=high) == 60.0


def test_the_draw_is_uniform_and_differs():
    drawn = [POLICY.delay(TRANSIENT, 5) for _each in range(300)]
    assert len(set(drawn)) > 250
    assert min(drawn) < 20
    assert max(drawn) > 60
    assert 30 < sum(drawn) / len(drawn) < 50


@pytest.mark.parametrize("error_class", sorted(set(ERROR_CLASSES) - RETRIED))
def test_what_cannot_heal_is_parked_at_once(error_class):
    assert POLICY.delay(error_class, 1) is None
    assert POLICY.delay(error_class, 1, told=5.0) is None


def test_only_waiting_heals_these():
    assert {TRANSIENT, THROTTLED} == RETRIED


@pytest.mark.parametrize("error_class", sorted(RETRIED))
def test_the_budget_ends(error_class):
    assert POLICY.delay(error_class, 7) is not None
    assert POLICY.delay(error_class, 8) is None
    assert POLICY.delay(error_class, 8, told=5.0) is None
    assert POLICY.delay(error_class, 9) is None


def test_the_partners_own_wish_is_followed_above_the_floor():
    assert POLICY.delay(THROTTLED, 1, told=120.0) == 120.0
    assert POLICY.delay(THROTTLED, 1, told=3600.0) == 3600.0
    assert POLICY.delay(THROTTLED, 1, told=0.0) == 1.0
    assert POLICY.delay(THROTTLED, 1, told=-5.0) == 1.0
