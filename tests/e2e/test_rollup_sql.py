"""The roll-up under concurrency, on a real PostgreSQL: no change is lost between two
runs, whatever commits when.

The tables are copies in a schema of their own, as in test_accept_sql.py.
"""

import os
import threading
import uuid
from datetime import datetime, timedelta

import psycopg2
import psycopg2.errors
import pytest
from health_connector.lib import rollup
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ as REPEATABLE_READ

HOUR = datetime(2026, 3, 1, 8)
TABLES = (
    "health_message",
    "health_attempt",
    "health_interface_stat",
    "health_interface_stat_due",
)
ROUNDS = 50


@pytest.fixture
def connect():
    """Opens connections to fresh copies, as Odoo's cursors are."""
    name = f"test_rollup_{uuid.uuid4().hex[:8]}"
    opened = []

    def open_one():
        connection = psycopg2.connect(
            os.environ.get("HEALTH_PG_DSN", ""),
            options=f"-c search_path={name},public",
        )
        connection.set_isolation_level(REPEATABLE_READ)
        opened.append(connection)
        return connection

    owner = psycopg2.connect(os.environ.get("HEALTH_PG_DSN", ""))
    with owner, owner.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
        for table in TABLES:
            like = f"LIKE public.{table} INCLUDING ALL"
            cursor.execute(f"CREATE TABLE {name}.{table} ({like})")
    yield open_one
    for connection in opened:
        connection.close()
    with owner, owner.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {name} CASCADE")
    owner.close()


def store(cursor, state="pending"):
    """One message, accepted and moved by this transaction."""
    cursor.execute(
        """INSERT INTO health_message (uid, interface_id, backend_id, company_id,
                  direction, dedupe_key, size, accepted_at, state, state_at)
           VALUES (%(uid)s, 1, 1, 1, 'in', %(uid)s, 10, %(hour)s, %(state)s,
                   now() AT TIME ZONE 'UTC') RETURNING id""",
        {"uid": uuid.uuid4().hex, "hour": HOUR, "state": state},
    )
    return cursor.fetchone()[0]


def collect(connection, since):
    """One look of the cron.

    :return: since when the next one has to look
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(rollup.HORIZON)
        horizon = cursor.fetchone()[0]
    with connection, connection.cursor() as cursor:
        cursor.execute(rollup.COLLECT, {"since": since})
    return horizon


def count(connection, between=lambda: None):
    """One chunk of the cron; ``between`` happens after its snapshot."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        between()
        cursor.execute(rollup.TAKE, [10])
        due = cursor.fetchall()
        if due:
            interfaces, hours = map(list, zip(*due, strict=True))
            values = {"interfaces": interfaces, "hours": hours}
            cursor.execute(rollup.COUNT, values)
            cursor.execute(rollup.CLEAR, values)


def figures(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT COALESCE(sum(accepted), 0), COALESCE(sum(done), 0)
                 FROM health_interface_stat"""
        )
        return tuple(map(int, cursor.fetchone()))


def test_a_transaction_that_was_open_is_found_by_the_next_look(connect):
    slow, cron = connect(), connect()
    cursor = slow.cursor()
    store(cursor)
    since = collect(cron, None)
    count(cron)
    assert figures(cron) == (0, 0)
    slow.commit()
    # what commits now carries the time at which it began
    collect(cron, since)
    count(cron)
    assert figures(cron) == (1, 0)


def test_a_mark_is_not_taken_by_who_has_not_seen_its_change(connect):
    cron, other = connect(), connect()
    with other, other.cursor() as cursor:
        first = store(cursor)
    collect(cron, None)

    def change():
        with other, other.cursor() as cursor:
            cursor.execute(
                "UPDATE health_message SET state = 'done' WHERE id = %s", [first]
            )
            cursor.execute(rollup.MARK, [[first]])

    with pytest.raises(psycopg2.errors.SerializationFailure):
        count(cron, change)
    cron.rollback()
    count(cron)
    assert figures(cron) == (1, 1)


def test_runs_at_once_end_with_the_right_figures(connect):
    """Traffic, two crons and a retention, all at the same time."""
    stop, errors = threading.Event(), []
    conflicts = (
        psycopg2.errors.SerializationFailure,
        psycopg2.errors.DeadlockDetected,
    )

    def cron():
        connection, since = connect(), None
        while not stop.is_set():
            try:
                since = collect(connection, since)
                count(connection)
            except conflicts:
                connection.rollback()
            except Exception as exc:
                errors.append(exc)
                return

    threads = [threading.Thread(target=cron) for _number in range(2)]
    for thread in threads:
        thread.start()
    traffic = connect()
    for _round in range(ROUNDS):
        with traffic, traffic.cursor() as cursor:
            closed = store(cursor, "done")
            store(cursor)
        delete(traffic, closed, conflicts)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    collect(traffic, datetime(2000, 1, 1))
    count(traffic)
    assert figures(traffic) == (2 * ROUNDS, ROUNDS)


def delete(connection, message_id, conflicts):
    """One batch of retention, again until the database has no objection."""
    deadline = datetime.now() + timedelta(seconds=30)
    while datetime.now() < deadline:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(rollup.MARK, [[message_id]])
                cursor.execute(rollup.set_aside(True), {"messages": [message_id]})
                cursor.execute("DELETE FROM health_message WHERE id = %s", [message_id])
            return
        except conflicts:
            connection.rollback()
    raise AssertionError("retention found no gap")
