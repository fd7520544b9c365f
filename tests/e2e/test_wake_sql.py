"""Waking the drain: the statements on a real PostgreSQL, and what comes of them."""

import itertools
import json
import os
import time
import urllib.request
import uuid

import live
import psycopg2
import pytest
from health_connector.lib.wake import TRUST, wake

TABLES = {
    "health_backend": "id, active, paused_in",
    "health_backend_state": "id, backend_id, drain_until",
    "ir_cron_trigger": "id, cron_id, call_at, create_date, write_date",
}


@pytest.fixture
def cursor():
    """Empty copies of the tables that waking reads and writes, of this session."""
    connection = psycopg2.connect(os.environ.get("HEALTH_PG_DSN", ""))
    with connection.cursor() as cr:
        for table, columns in TABLES.items():
            source = f"SELECT {columns} FROM public.{table} LIMIT 0"
            cr.execute(f"CREATE TEMPORARY TABLE {table} AS {source}")
        yield cr
    connection.rollback()
    connection.close()


numbers = itertools.count(1)


def backend(cursor, promised=None, active=True, paused=False):
    """A backend whose drain promises to look for work for so many seconds."""
    number = next(numbers)
    cursor.execute(
        "INSERT INTO health_backend VALUES (%s, %s, %s)", [number, active, paused]
    )
    cursor.execute(
        """INSERT INTO health_backend_state (backend_id, drain_until)
           VALUES (%s, clock_timestamp() AT TIME ZONE 'UTC' + %s * interval '1 s')""",
        [number, promised],
    )
    return number


def triggers(cursor):
    cursor.execute(
        """SELECT cron_id = (SELECT res_id FROM ir_model_data
                              WHERE module = 'health_connector'
                                AND name = 'cron_dispatch'),
                  call_at <= now() AT TIME ZONE 'UTC',
                  call_at = date_trunc('second', call_at)
             FROM ir_cron_trigger"""
    )
    return cursor.fetchall()


@pytest.mark.parametrize("promised", [None, -5.0, 0.0, TRUST / 2])
def test_without_a_promise_that_lasts_the_dispatch_is_triggered(cursor, promised):
    assert wake(cursor, [backend(cursor, promised)]) is True
    # of our cron, due now, and in the form that a run clears when it begins
    assert triggers(cursor) == [(True, True, True)]


def test_a_promise_is_relied_on(cursor):
    assert wake(cursor, [backend(cursor, TRUST + 1)]) is False
    assert triggers(cursor) == []


def test_a_waiting_trigger_does_not_swallow_a_wake_up(cursor):
    # the waiting one may belong to a run that has looked already
    number = backend(cursor)
    assert wake(cursor, [number]) is True
    assert wake(cursor, [number]) is True
    assert len(triggers(cursor)) == 2


@pytest.mark.parametrize("state", [{"active": False}, {"paused": True}])
def test_a_backend_at_rest_is_not_woken(cursor, state):
    assert wake(cursor, [backend(cursor, **state)]) is False


def test_one_backend_without_a_promise_is_enough(cursor):
    kept = backend(cursor, 60.0)
    other = backend(cursor)
    assert wake(cursor, [kept, other, other]) is True
    assert len(triggers(cursor)) == 1


def test_nothing_to_wake(cursor):
    assert wake(cursor, []) is False
    assert wake(cursor, [next(numbers)]) is False


def post(url, key, body):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Authorization": f"Bearer {key}"}
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_messages_after_a_pause_do_not_wait_for_the_sweep():
    code = f"wake-{uuid.uuid4().hex[:8]}"
    live.odoo_shell(
        f"""
backend = env["health.backend"].create({{"name": "Wake", "code": "{code}"}})
env["health.interface"].create({{"name": "Wake", "code": "{code}", "codec": "json",
    "backend_id": backend.id, "handler": "core.keep", "state": "live"}})
env.cr.commit()
"""
    )
    url = f"{os.environ['HEALTH_URL']}/health/in/{code}"
    key = live.bearer_key(code)
    for number in range(4):
        answer = post(url, key, {"number": number})
        live.wait_for(
            lambda message=answer["id"]: live.query(
                "SELECT 1 FROM health_message WHERE id = %s AND state = 'done'", message
            ),
            seconds=15,
        )
        time.sleep(4)  # longer than the promise of a drain: it has ended
