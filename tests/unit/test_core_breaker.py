"""The breaker opens on evidence, lets one probe through, and closes on an answer."""

from datetime import datetime, timedelta

import pytest
from health_connector.lib.breaker import (
    ANSWERED,
    CLOSED,
    COUNTS,
    HALF_OPEN,
    NOTHING,
    OPEN,
    OPENS,
    Breaker,
    Settings,
    ask,
    reason,
    report,
)
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

SETTINGS = Settings(failures=5, slow_calls=3, slow_seconds=10.0, pause=30.0)
NOW = datetime(2026, 3, 1, 12, 0)


def high(start, end):
    return end


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def told(breaker, effect, times=1, seconds=0.1, **more):
    for _each in range(times):
        breaker = report(breaker, SETTINGS, effect, seconds, NOW, draw=high, **more)
    return breaker


def half_open(openings=1):
    breaker = Breaker(OPEN, openings=openings, until=NOW)
    breaker, answer = ask(breaker, SETTINGS, NOW)
    assert answer.probe
    return breaker


def test_five_failures_in_a_row_open_it_and_four_do_not():
    assert told(Breaker(), COUNTS, 4).state == CLOSED
    opened = told(Breaker(), COUNTS, 5)
    assert (opened.state, opened.until) == (OPEN, later(30))


def test_an_answer_between_ends_the_row():
    breaker = told(told(Breaker(), COUNTS, 4), ANSWERED)
    assert told(breaker, COUNTS, 4).state == CLOSED


def test_being_told_to_slow_down_neither_ends_nor_adds_to_the_row():
    breaker = told(told(Breaker(), COUNTS, 4), NOTHING, 50)
    assert breaker.state == CLOSED
    assert told(breaker, COUNTS).state == OPEN


def test_slow_answers_in_a_row_open_it():
    breaker = told(Breaker(), ANSWERED, 2, seconds=10.0)
    assert told(breaker, ANSWERED, seconds=9.9).slow == 0
    assert told(breaker, ANSWERED, seconds=10.0).state == OPEN


def test_refused_credentials_open_it_at_once():
    assert told(Breaker(), OPENS).state == OPEN


@pytest.mark.parametrize(
    ("before", "effect", "why"),
    [
        (Breaker(), OPENS, "auth"),
        (Breaker(), COUNTS, "failures"),
        (Breaker(), ANSWERED, "slow"),
        (half_open(), COUNTS, "probe"),
    ],
)
def test_the_reason_is_named(before, effect, why):
    assert reason(before, SETTINGS, effect) == why


def test_while_open_nobody_calls_until_the_pause_is_over():
    opened = told(Breaker(), COUNTS, 5)
    same, answer = ask(opened, SETTINGS, later(29.9))
    assert same == opened
    assert (answer.allowed, answer.until) == (False, later(30))
    probing, answer = ask(opened, SETTINGS, later(30))
    assert answer.allowed and answer.probe and probing.state == HALF_OPEN


def test_one_probe_and_a_new_one_when_it_died():
    breaker = half_open()
    _same, second = ask(breaker, SETTINGS, later(59))
    assert not second.allowed and second.until == later(60)
    _new, third = ask(breaker, SETTINGS, later(60))
    assert third.probe


@pytest.mark.parametrize("effect", [ANSWERED, NOTHING])
def test_an_answered_probe_closes_it(effect):
    assert told(half_open(), effect, probe=True).state == CLOSED


def test_a_failed_probe_opens_it_for_longer_up_to_the_cap():
    breaker, pauses = half_open(), []
    for _each in range(8):
        breaker = told(breaker, COUNTS, probe=True)
        pauses.append((breaker.until - NOW).total_seconds())
        breaker = half_open(breaker.openings)
    assert pauses == [60, 120, 240, 480, 900, 900, 900, 900]


def test_a_partner_down_for_two_hours_sees_few_calls():
    breaker, now, calls = Breaker(), NOW, 0
    while now < NOW + timedelta(hours=2):
        breaker, answer = ask(breaker, SETTINGS, now)
        if answer.allowed:
            calls += 1
            breaker = report(breaker, SETTINGS, COUNTS, 5.0, now, answer.probe)
        now += timedelta(seconds=1)
    assert 5 < calls < 60


@pytest.mark.parametrize("effect", [ANSWERED, COUNTS, OPENS, NOTHING])
def test_calls_under_way_when_it_opened_decide_nothing(effect):
    opened = told(Breaker(), COUNTS, 5)
    assert told(opened, effect) == opened
    assert told(half_open(), effect) == half_open()


def test_what_a_person_opened_stays_open():
    held = Breaker(OPEN, until=None)
    _same, answer = ask(held, SETTINGS, later(10**9))
    assert not answer.allowed and answer.until is None
    assert told(held, ANSWERED, probe=True) == held


def test_a_count_of_zero_switches_a_reason_off():
    settings = Settings(failures=0, slow_calls=0)
    breaker = Breaker()
    for _each in range(100):
        breaker = report(breaker, settings, COUNTS, 99.0, NOW)
        breaker = report(breaker, settings, NOTHING, 99.0, NOW)
    assert breaker.state == CLOSED


def test_a_slow_probe_closes_it_but_the_pauses_do_not_begin_anew():
    closed = told(half_open(3), ANSWERED, probe=True, seconds=30.0)
    assert (closed.state, closed.openings, closed.slow) == (CLOSED, 3, 1)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_pause_lies_between_half_and_whole_of_the_curve(openings, share):
    breaker = report(
        Breaker(HALF_OPEN, openings=openings, until=NOW),
        SETTINGS,
        COUNTS,
        1.0,
        NOW,
        probe=True,
        draw=lambda start, end: start + share * (end - start),
    )
    curve = min(900.0, 30.0 * 2 ** min(openings, 60))
    pause = (breaker.until - NOW).total_seconds()
    assert curve / 2 - 1e-3 <= pause <= curve + 1e-3


class Traffic(RuleBasedStateMachine):
    """Any interleaving of callers: never two live probes, never a call while open."""

    def __init__(self):
        super().__init__()
        self.now, self.breaker = NOW, Breaker()
        self.calls, self.probe_until = [], NOW

    @rule(seconds=st.floats(0, 2000))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule()
    def somebody_asks(self):
        before = self.breaker
        self.breaker, answer = ask(before, SETTINGS, self.now)
        if before.state == CLOSED:
            assert answer.allowed and not answer.probe
        elif answer.allowed:
            assert answer.probe and before.until <= self.now
            if before.state == HALF_OPEN:
                assert self.probe_until <= self.now
            self.probe_until = self.breaker.until
        if answer.allowed:
            self.calls.append(answer.probe)

    @rule(
        effect=st.sampled_from([ANSWERED, COUNTS, OPENS, NOTHING]),
        seconds=st.floats(0, 60),
        which=st.integers(0, 100),
    )
    def a_call_ends(self, effect, seconds, which):
        if not self.calls:
            return
        probe = self.calls.pop(which % len(self.calls))
        before = self.breaker
        self.breaker = report(before, SETTINGS, effect, seconds, self.now, probe)
        if before.state != CLOSED and not probe:
            assert self.breaker == before

    @invariant()
    def it_always_says_until_when(self):
        assert self.breaker.state == CLOSED or self.breaker.until is not None


TestTraffic = Traffic.TestCase
