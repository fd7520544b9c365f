"""What is urgent, and what it becomes."""

import pytest
from health_connector.lib.accept import Channel, Incoming, accept
from health_connector.lib.keyring import Keyring
from health_connector.lib.urgency import DEFAULT_VALUES, priority_of, words

RING = Keyring("k1", {"k1": bytes(range(32))}, bytes(range(32, 64)))


def test_words_are_read_once_and_in_capitals():
    assert words(" s, Stat,,a ") == {"S", "STAT", "A"}
    assert words(None) == words("") == frozenset()


@pytest.mark.parametrize(
    ("said", "usual", "priority"),
    [
        ("S", 5, 1),
        ("stat ", 5, 1),
        ("A", 9, 1),
        ("R", 5, 5),
        ("", 5, 5),
        ("S", 0, 0),
        ("SS", 5, 5),
    ],
)
def test_only_what_is_agreed_is_urgent_and_nothing_goes_later(said, usual, priority):
    assert priority_of(said, words(DEFAULT_VALUES), usual) == priority


class Cursor:
    """Keeps what accept sends to the database; every unit is new."""

    def execute(self, query, params=None):
        self.params = params

    def fetchall(self):
        return [(uid, number, None) for number, uid in enumerate(self.params[0], 1)]


def test_accept_stores_the_priority_of_each_unit():
    channel = Channel(1, 1, 1, 5, words("S"))
    units = [Incoming(channel, b"a"), Incoming(channel, b"b", urgent="S")]
    units.append(Incoming(Channel(1, 1, 1, 5), b"c", urgent="S"))
    cursor = Cursor()
    accept(cursor, RING, units)
    assert cursor.params[4] == [5, 1, 5]
