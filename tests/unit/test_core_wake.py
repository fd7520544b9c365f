"""The throttle of wake-ups, on a clock of its own."""

from health_connector.lib.wake import THROTTLE, TRUST, Throttle


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


def test_the_first_question_is_always_due():
    assert Throttle(0.4, Clock(0.0)).due([1, 2]) == [1, 2]
    assert Throttle(0.4, Clock(12345.0)).due([1]) == [1]


def test_within_the_time_nobody_asks_again():
    clock = Clock()
    throttle = Throttle(0.4, clock)
    throttle.due([1])
    clock.now = 0.399
    assert throttle.due([1]) == []
    clock.now = 0.4
    assert throttle.due([1]) == [1]


def test_asking_in_vain_does_not_put_off_the_next_question():
    clock = Clock()
    throttle = Throttle(0.5, clock)
    throttle.due([1])
    asked = []
    for step in range(1, 13):
        clock.now = step / 8
        if throttle.due([1]):
            asked.append(step)
    assert asked == [4, 8, 12]


def test_without_a_promise_the_next_one_asks_again():
    throttle = Throttle(0.4, Clock())
    throttle.due([1, 2])
    throttle.forget([1])
    assert throttle.due([1, 2]) == [1]


def test_backends_do_not_share_a_turn():
    clock = Clock()
    throttle = Throttle(0.4, clock)
    assert throttle.due([("db1", 1)]) == [("db1", 1)]
    assert throttle.due([("db1", 1), ("db1", 2), ("db2", 1)]) == [
        ("db1", 2),
        ("db2", 1),
    ]


def test_a_backend_named_twice_is_asked_about_once():
    assert Throttle(0.4, Clock()).due([7, 7, 3, 7]) == [7, 3]


def test_a_promise_outlasts_every_answer_that_relied_on_it():
    # a process may skip asking for THROTTLE seconds after it saw a promise of TRUST
    assert TRUST > THROTTLE > 0
