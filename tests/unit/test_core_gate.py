"""The gate as a value: it takes what it grants, and a refusal changes nothing."""

from datetime import datetime, timedelta

from health_connector.lib import breaker
from health_connector.lib.breaker import Breaker
from health_connector.lib.gate import Gate, Limits, permit, report
from health_connector.lib.limiter import Rate
from hypothesis import given, strategies as st

NOW = datetime(2026, 3, 1, 12, 0)
LIMITS = Limits(
    breaker.Settings(failures=3), Rate(2.0, 3), max_calls=2, call_lease=60.0
)
EFFECTS = [breaker.ANSWERED, breaker.COUNTS, breaker.OPENS, breaker.NOTHING]

steps = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.sampled_from("abcd"),
        st.sampled_from([*EFFECTS, "dies"]),
        st.floats(0, 20),
        st.none() | st.floats(0, 100),
    ),
    max_size=80,
)


@given(steps)
def test_whatever_callers_do_the_limits_hold(steps):
    gate, now, granted = Gate(), NOW, 0
    for gap, caller, effect, took, told in steps:
        now += timedelta(seconds=gap)
        before = gate
        gate, answer = permit(gate, LIMITS, now, caller)
        if not answer.allowed:
            assert gate == before
            assert answer.until > now and answer.reason
            continue
        granted += 1
        seconds = (now - NOW).total_seconds()
        assert granted <= 3 + 2.0 * seconds + 1e-6
        assert len(gate.calls) <= 2
        assert not (before.told_until and now < before.told_until)
        assert answer.probe == (before.breaker.state != breaker.CLOSED)
        if effect != "dies":
            gate = report(gate, LIMITS, now, caller, effect, took, answer.probe, told)
            assert caller not in gate.calls


def test_a_refused_probe_is_still_to_be_had():
    opened = Gate(Breaker(breaker.OPEN, until=NOW), calls={"a": 9e9, "b": 9e9})
    after, answer = permit(opened, LIMITS, NOW, "c")
    assert (answer.allowed, answer.reason) == (False, "busy")
    assert after.breaker.state == breaker.OPEN


def test_a_place_is_free_again_when_its_lease_ends():
    gate, _permit = permit(Gate(), LIMITS, NOW, "a")
    gate, _permit = permit(gate, LIMITS, NOW, "b")
    assert permit(gate, LIMITS, NOW, "c")[1].reason == "busy"
    assert permit(gate, LIMITS, NOW + timedelta(seconds=61), "c")[1].allowed


def test_without_limits_there_are_none():
    gate = Gate()
    for caller in range(100):
        gate, answer = permit(gate, Limits(), NOW, str(caller))
        assert answer.allowed


def test_a_wish_for_a_year_is_kept_for_a_day():
    gate = report(Gate(), LIMITS, NOW, "a", breaker.NOTHING, 1.0, told=3e7)
    assert gate.told_until == NOW + timedelta(days=1)
