"""What the listener's store does when PostgreSQL fails it, at every point.

The database itself is played here, so that it can fail exactly where a test says;
tests/e2e and tests/chaos do the same to a real one.
"""

from types import SimpleNamespace

import psycopg2
import psycopg2.errors
import pytest
from health_connector.lib.committer import NotStored, StoreDown
from health_connector.lib.pg_store import PgStore


class Database:
    """Connections that note what is stored, and fail on request."""

    def __init__(self):
        self.up = True
        self.stored = []
        self.flushed = 0
        self.connections = []
        self.fail = {}

    def connect(self):
        if not self.up:
            raise psycopg2.OperationalError("could not connect")
        self.connections.append(Connection(self))
        return self.connections[-1]

    def happen(self, point):
        """Fail here if a test said so; a list of errors is one for each time."""
        if self.fail.get(point):
            raise self.fail[point].pop(0)

    def crash(self):
        for connection in self.connections:
            connection.closed = 2


class Connection:
    def __init__(self, database):
        self.database = database
        self.closed = 0

    def cursor(self):
        return Cursor(self)

    def close(self):
        self.closed = 1

    def check(self, point):
        if self.closed:
            raise psycopg2.OperationalError("server closed the connection")
        self.database.happen(point)


class Cursor:
    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def execute(self, query, params=None):
        self.connection.check("execute")
        if query == "EXECUTE health_flush":
            self.connection.check("flush")
            self.connection.database.flushed += 1


class Core:
    def __init__(self):
        self.poison = set()
        self.woken = []
        self.refreshed = 0

    def accept(self, cr, units):
        cr.connection.check("accept")
        if self.poison & {unit.name for unit in units}:
            raise ValueError("a value of a row that must not be logged: SECRET")
        cr.connection.database.stored += [unit.name for unit in units]
        return [f"receipt {unit.name}" for unit in units]

    def wake(self, cr, channels):
        self.woken += channels

    def outcomes(self, cr, message_ids):
        return {}

    def refresh(self, cr):
        cr.connection.check("refresh")
        self.refreshed += 1


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def core():
    return Core()


@pytest.fixture
def store(database, core):
    return PgStore(database.connect, core, patience=0.5)


def units(*names):
    return [SimpleNamespace(name=name, channel="channel") for name in names]


def lost():
    return psycopg2.OperationalError("connection lost")


def test_written_then_flushed_on_a_connection_of_its_own(store, database):
    receipts, token = store.write(units("a", "b"))
    assert receipts == ["receipt a", "receipt b"]
    assert database.stored == ["a", "b"]
    assert database.flushed == 0
    store.flush(token)
    assert database.flushed == 1
    assert token.flushing is not token.writing


@pytest.mark.parametrize("kind", [psycopg2.OperationalError, psycopg2.DatabaseError])
def test_a_lost_connection_is_replaced_and_the_batch_tried_again(store, database, kind):
    database.fail["accept"] = [kind("server closed the connection unexpectedly")]
    receipts, _token = store.write(units("a"))
    assert receipts == ["receipt a"]
    assert len(database.connections) == 4


def error(sqlstate):
    """An error as the server reports it."""
    kind = psycopg2.errors.lookup(sqlstate)
    return type(kind.__name__, (kind,), {"pgcode": sqlstate})()


@pytest.mark.parametrize(
    "sqlstate",
    ["57P01", "57P02", "57P03", "53100", "53300", "25006", "40P01", "57014", "55P03"],
)
def test_what_passes_is_waited_for_on_a_new_connection(store, database, sqlstate):
    database.fail["accept"] = [error(sqlstate)]
    assert store.write(units("a"))[0] == ["receipt a"]
    assert len(database.connections) == 4


def test_what_will_not_pass_is_not_waited_for(store, database):
    database.fail["accept"] = [error("22021"), error("22021")]
    receipts, _token = store.write(units("a"))
    assert isinstance(receipts[0], NotStored)
    assert len(database.connections) == 2


def test_patience_ends(store, database):
    database.up = False
    with pytest.raises(StoreDown):
        store.write(units("a"))
    with pytest.raises(StoreDown):
        store.write(units("b"))
    database.up = True
    store._next_try = 0.0
    assert store.write(units("c"))[0] == ["receipt c"]


def test_one_poisoned_message_does_not_fail_its_neighbours(
    store, database, core, caplog
):
    core.poison = {"b"}
    receipts, token = store.write(units("a", "b", "c"))
    assert receipts[0] == "receipt a" and receipts[2] == "receipt c"
    assert isinstance(receipts[1], NotStored)
    assert database.stored == ["a", "c"]
    store.flush(token)
    assert "ValueError" in caplog.text and "SECRET" not in caplog.text


def test_a_connection_lost_among_poisoned_messages_starts_the_batch_again(
    store, database, core
):
    core.poison = {"b"}
    accept, calls = core.accept, []

    def flaky(cr, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise lost()
        return accept(cr, batch)

    core.accept = flaky
    receipts, token = store.write(units("a", "b", "c"))
    assert calls == [3, 1, 1, 3, 1, 1, 1]
    assert receipts[::2] == ["receipt a", "receipt c"]
    assert token is store._link, "every receipt is of the link that is flushed"


def test_a_failing_flush_is_never_made_good_by_a_later_one(store, database):
    _receipts, token = store.write(units("a"))
    database.crash()
    with pytest.raises(StoreDown):
        store.flush(token)
    with pytest.raises(StoreDown):
        store.flush(token)
    receipts, fresh = store.write(units("b"))
    assert receipts == ["receipt b"]
    assert fresh is not token
    store.flush(fresh)


def test_both_connections_are_there_before_anything_is_written(store, database):
    database.fail["accept"] = [RuntimeError()]
    store.write(units("a"))
    assert len(database.connections) == 2


def test_the_drain_is_woken_for_what_was_accepted_only(store, core):
    core.poison = {"b"}
    store.write(units("a", "b"))
    store.tick()
    assert core.woken == ["channel"]
    store.tick()
    assert core.woken == ["channel"]


def test_settings_are_read_now_and_then(store, core, database):
    store.tick()
    store.tick()
    assert core.refreshed == 1
    store._next_refresh = 0.0
    database.fail["refresh"] = [lost()]
    store.tick()
    store._next_refresh = store._next_try = 0.0
    store.tick()
    assert core.refreshed == 2


def test_closing_closes_both(store, database):
    store.write(units("a"))
    store.close()
    assert all(connection.closed for connection in database.connections)
