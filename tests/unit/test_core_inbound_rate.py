"""The inbound limit: few looks at the shared bucket, and never more than it holds."""

import random

from health_connector.lib.inbound_rate import Allowance, rate_of
from health_connector.lib.limiter import Bucket, Rate, full, reserve, wait


class Shared:
    """The row in PostgreSQL, played by the same arithmetic as values."""

    def __init__(self, rate):
        self.rate = rate
        self.now = 1000.0
        self.bucket = full(rate, self.now)
        self.asked = 0

    def clock(self):
        return self.now

    def reserve(self, wanted):
        self.asked += 1
        self.bucket, granted = reserve(self.rate, self.bucket, self.now, wanted)
        return granted, wait(self.rate, self.bucket, self.now)


def test_what_settings_mean():
    assert rate_of(0, 5) is None and rate_of(None, None) is None
    assert rate_of(2.0, 0) == Rate(2.0, 2.0)
    assert rate_of(0.1, 0) == Rate(0.1, 1.0)
    assert rate_of(2.0, 50) == Rate(2.0, 50)


def test_a_burst_then_the_rate():
    shared = Shared(Rate(10, 5))
    allowance = Allowance(shared.clock)
    take = lambda: allowance.take(1, shared.rate, 1, shared.reserve)  # noqa: E731
    assert [take() for _ in range(7)] == [1] * 5 + [0] * 2
    assert 0.05 < allowance.wait(1) < 0.11
    shared.now += 0.11
    assert [take(), take()] == [1, 0]


def test_a_flood_does_not_ask_again_before_its_time():
    shared = Shared(Rate(1, 1))
    allowance = Allowance(shared.clock)
    for _ in range(1000):
        allowance.take(1, shared.rate, 1, shared.reserve)
    assert shared.asked <= 2


def test_brisk_traffic_asks_seldom():
    shared = Shared(Rate(1000, 1000))
    allowance = Allowance(shared.clock)
    let_in = 0
    for _ in range(5000):
        shared.now += 0.0012
        let_in += allowance.take(1, shared.rate, 1, shared.reserve)
    assert let_in == 5000
    assert shared.asked < 100


def test_many_processes_together_never_exceed_the_limit():
    """And little of it is lost between them."""
    for seed in range(20):
        draw = random.Random(seed)
        rate = Rate(draw.choice([5, 50, 500]), draw.choice([1, 20, 200]))
        shared = Shared(rate)
        allowances = [Allowance(shared.clock) for _ in range(8)]
        start, let_in = shared.now, 0
        while shared.now < start + 20:
            shared.now += draw.expovariate(rate.per_second * 3)
            each = draw.choice(allowances)
            let_in += each.take(1, rate, draw.choice([1, 1, 4]), shared.reserve)
        most = rate.burst + rate.per_second * (shared.now - start)
        assert let_in <= most + 1e-6, seed
        assert let_in >= 0.7 * rate.per_second * (shared.now - start) - rate.burst, seed


def test_what_is_not_spent_is_dropped():
    shared = Shared(Rate(100, 100))
    allowance = Allowance(shared.clock)
    for _ in range(10):
        allowance.take(1, shared.rate, 1, shared.reserve)
    shared.bucket = Bucket(0.0, shared.now + 2)
    shared.now += 2
    assert allowance.take(1, shared.rate, 1, shared.reserve) == 0
