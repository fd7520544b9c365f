"""A token bucket: never more than the rate allows, never less than it owes."""

import math

import pytest
from health_connector.lib.limiter import Bucket, Rate, fill, full, reserve, take, wait
from hypothesis import given, strategies as st

rates = st.builds(Rate, st.floats(0.01, 1e4), st.integers(1, 1000))
#: gaps between calls in seconds; a clock may step back too
gaps = st.lists(st.floats(-5, 60), min_size=1, max_size=200)


def times(gaps):
    at = 1_000_000.0
    for gap in gaps:
        at += gap
        yield at


@given(rates, gaps, st.integers(1, 5))
def test_no_stretch_of_time_sees_more_than_burst_and_rate(rate, gaps, n):
    bucket, latest, taken = full(rate, 1_000_000.0), 1_000_000.0, 0
    for now in times(gaps):
        bucket, ok = take(rate, bucket, now, n)
        latest, taken = max(latest, now), taken + n * ok
        owed = rate.burst + (latest - 1_000_000.0) * rate.per_second
        assert taken <= owed * (1 + 1e-9) + 1e-6
        assert 0 <= bucket.tokens <= rate.burst


@given(rates, gaps, st.integers(1, 5000))
def test_a_reserved_chunk_is_counted_like_single_calls(rate, gaps, most):
    bucket = full(rate, 1_000_000.0)
    for now in times(gaps):
        there = fill(rate, bucket, now).tokens
        bucket, granted = reserve(rate, bucket, now, most)
        assert granted == min(most, int(there))
        assert bucket.tokens == pytest.approx(there - granted, abs=1e-6)


@given(rates, st.floats(0, 1), st.integers(1, 2000))
def test_after_the_told_wait_the_tokens_are_there_and_not_before(rate, share, n):
    bucket = Bucket(rate.burst * share, 0.0)
    seconds = wait(rate, bucket, 0.0, n)
    if n > rate.burst:
        assert math.isinf(seconds)
        return
    assert take(rate, bucket, seconds * (1 + 1e-9) + 1e-6, n)[1]
    if seconds > 1e-3:
        assert not take(rate, bucket, seconds * 0.99, n)[1]


def test_a_refused_call_costs_nothing():
    rate = Rate(1.0, 2)
    bucket, ok = take(rate, Bucket(1.0, 0.0), 0.0, 2)
    assert not ok and bucket.tokens == 1.0


def test_a_quiet_night_saves_up_the_burst_only():
    rate = Rate(10.0, 5)
    assert fill(rate, Bucket(0.0, 0.0), 86400.0).tokens == 5


def test_a_clock_that_goes_back_gives_nothing():
    rate = Rate(10.0, 5)
    bucket, _ok = take(rate, full(rate, 100.0), 100.0, 5)
    back = fill(rate, bucket, 40.0)
    assert back == Bucket(0.0, 100.0)
    assert fill(rate, back, 100.0).tokens == 0


def test_a_smaller_burst_holds_at_once():
    assert fill(Rate(1.0, 3), Bucket(50.0, 0.0), 0.0).tokens == 3


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0.5)])
def test_a_rate_that_lets_nothing_through_is_refused(per_second, burst):
    with pytest.raises(ValueError):
        Rate(per_second, burst)
