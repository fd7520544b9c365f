"""The claim on a real PostgreSQL: several workers, one message each, in order.

The statements are the drain's own, run by workers with connections of their own, at
the isolation of Odoo's cursors. The tables are copies in a schema of their own, so
that no drain of the running system takes part.
"""

import os
import threading
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import psycopg2.errors
import pytest
from health_connector.lib import claiming, slots
from health_connector.lib.accept import Channel, Incoming, accept
from health_connector.lib.keyring import Keyring
from hypothesis import HealthCheck, given, settings, strategies as st
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ as REPEATABLE_READ

ROUNDS = 50
WORKERS = 8
LONG = bool(os.environ.get("HEALTH_LONG"))
RING = Keyring("k1", {"k1": bytes(range(32))}, bytes(range(32, 64)))
TABLES = ("health_message", "health_payload", "health_drain_slot", "health_backend")
CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
)
#: a worker that finds nothing so often while others are at work gives up
PATIENCE = 2000


@pytest.fixture(scope="module")
def schema():
    name = f"test_claim_{uuid.uuid4().hex[:8]}"
    connection = psycopg2.connect(os.environ.get("HEALTH_PG_DSN", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
        for table in TABLES:
            like = f"LIKE public.{table} INCLUDING ALL"
            cursor.execute(f"CREATE TABLE {name}.{table} ({like})")
    yield name
    with connection, connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {name} CASCADE")
    connection.close()


class Worker:
    """One drain as the database sees it: claims, applies in id order, ends."""

    def __init__(self, connection, name):
        self.connection = connection
        self.name = name

    def claim(self, backend=1, limit=10):
        """As ``health.drain._claim``: a conflict costs the turn only."""
        while True:
            try:
                with self.connection, self.connection.cursor() as cursor:
                    return claiming.claim(
                        cursor, backend, [1, 2], [3], self.name, limit
                    )
            except CONFLICTS:
                continue

    def finish(self, ids, log):
        """Mark done what is still held, noting the order, as ``_transition`` does."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                """SELECT id, order_key FROM health_message
                    WHERE id = ANY(%s) AND state = 'processing' AND lease_owner = %s
                 ORDER BY id FOR UPDATE""",
                [ids, self.name],
            )
            held = cursor.fetchall()
            cursor.execute(
                "UPDATE health_message SET state = 'done' WHERE id = ANY(%s)",
                [[row[0] for row in held]],
            )
            log.extend(held)

    def drain(self, log, left):
        """Until nothing is left of all."""
        for _look in range(PATIENCE):
            ids = self.claim()
            if ids:
                self.finish(ids, log)
            with self.connection, self.connection.cursor() as cursor:
                cursor.execute(left)
                if not cursor.fetchone()[0]:
                    return
        raise AssertionError("the workers do not come to an end")


@pytest.fixture
def connect(schema):
    opened = []

    def open_one():
        connection = psycopg2.connect(
            os.environ.get("HEALTH_PG_DSN", ""),
            options=f"-c search_path={schema},public -c synchronous_commit=off",
        )
        connection.set_isolation_level(REPEATABLE_READ)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def team(connect):
    return [Worker(connect(), f"worker-{n}") for n in range(WORKERS)]


def store(connection, *messages):
    """Accept (interface, order key, priority) each; returns ids in order."""
    units = [
        Incoming(Channel(interface, 1, 1, priority), uuid.uuid4().bytes, order_key=key)
        for interface, key, priority in messages
    ]
    with connection, connection.cursor() as cursor:
        return [each.message_id for each in accept(cursor, RING, units)]


def clear(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM health_payload")
        cursor.execute("DELETE FROM health_message")


def run(connection, sql, *params):
    with connection, connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def together(*functions):
    """Run functions at the same moment; their results, in order."""
    barrier = threading.Barrier(len(functions))

    def go(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(go, functions))


LEFT = "SELECT EXISTS (SELECT 1 FROM health_message WHERE state <> 'done')"


# -- two cursors ------------------------------------------------------------------


def test_two_claims_at_once_share_no_message_and_lose_none(team):
    first, second = team[:2]
    for _round in range(ROUNDS):
        clear(first.connection)
        keys = [*"aabbcc", "", "", "", "d"]
        ids = set(store(first.connection, *((1, key, 5) for key in keys)))
        one, two = together(first.claim, second.claim)
        assert not set(one) & set(two)
        log = []
        first.finish(one, log)
        second.finish(two, log)
        # what stood behind the other's messages had to wait for them
        first.drain(log, LEFT)
        assert sorted(row[0] for row in log) == sorted(ids)


def test_a_claim_does_not_wait_for_another_one(team):
    first, second = team[:2]
    clear(first.connection)
    ids = store(first.connection, *((1, "", 5) for _each in range(6)))
    with first.connection.cursor() as at_work:
        mine = claiming.claim(at_work, 1, [1], [], first.name, 3)
        run(second.connection, "SET lock_timeout = '2s'")
        assert (mine, second.claim()) == (ids[:3], ids[3:])
    first.connection.rollback()
    run(second.connection, "RESET lock_timeout")
    assert first.claim() == ids[:3]


def test_a_line_behind_one_at_work_does_not_fill_the_batches(team):
    first, second = team[:2]
    clear(first.connection)
    head = store(first.connection, (1, "k", 5))
    assert first.claim() == head
    store(first.connection, *((1, "k", 5) for _each in range(9)))
    free = store(first.connection, (1, "other", 5))
    assert second.claim(limit=3) == free


def test_two_claims_at_once_never_split_a_run_of_one_key(team):
    """Not even where their batches end inside it."""
    first, second = team[:2]
    for _round in range(ROUNDS):
        clear(first.connection)
        ids = store(first.connection, *((1, "one key", 5) for _each in range(25)))
        one, two = together(first.claim, second.claim)
        assert not (one and two)
        claimed = one or two
        assert claimed == ids[: len(claimed)]


def test_two_urgent_claims_at_once_pull_a_line_once(team):
    first, second = team[:2]
    for _round in range(ROUNDS):
        clear(first.connection)
        store(first.connection, *((1, f"other {n}", 5) for n in range(30)))
        line = store(first.connection, *((1, "k", 5) for _each in range(4)))
        line += store(first.connection, (1, "k", 1))
        one, two = together(first.claim, second.claim)
        assert not set(one) & set(two)
        mine = [set(line) & set(each) for each in (one, two)]
        assert sorted(map(len, mine)) == [0, 5]


def test_two_that_find_an_ended_lease_take_it_over_once(team):
    first, second = team[:2]

    def take_over(worker):
        try:
            with worker.connection, worker.connection.cursor() as cursor:
                ids = claiming.ended_leases(cursor, 1)
                cursor.execute(
                    """UPDATE health_message SET state = 'waiting', lease_owner = NULL
                        WHERE id = ANY(%s)""",
                    [ids],
                )
                return ids
        except CONFLICTS:
            return []

    for _round in range(ROUNDS):
        clear(first.connection)
        ids = store(first.connection, *((1, "", 5) for _each in range(5)))
        dead = Worker(first.connection, "dead")
        assert dead.claim() == ids
        run(first.connection, "UPDATE health_message SET lease_until = 'epoch'")
        one, two = together(lambda: take_over(first), lambda: take_over(second))
        assert sorted([*one, *two]) == ids
        log = []
        dead.finish(ids, log)
        assert log == []


def test_a_lease_that_ended_is_left_alone_while_its_message_is_applied(team):
    first, second = team[:2]
    clear(first.connection)
    ids = store(first.connection, (1, "", 5))
    assert first.claim() == ids
    run(second.connection, "UPDATE health_message SET lease_until = 'epoch'")
    with first.connection.cursor() as at_work:
        at_work.execute("SELECT 1 FROM health_message WHERE id = %s FOR UPDATE", ids)
        with second.connection, second.connection.cursor() as cursor:
            assert claiming.ended_leases(cursor, 1) == []
    first.connection.rollback()
    with second.connection, second.connection.cursor() as cursor:
        assert claiming.ended_leases(cursor, 1) == ids


def test_a_claim_costs_by_the_batch_not_by_the_backlog(team):
    """Also when nothing is known of the table yet, as in the burst that fills it."""
    worker, boss = team[0], team[1].connection
    clear(boss)
    run(boss, "ALTER TABLE health_message SET (autovacuum_enabled = off)")
    pages = []
    for count in (300, 3000):
        store(boss, *((1, f"{count} {n}", 5) for n in range(count)))
        pages.append(pages_of_a_claim(worker))
    assert pages[1] < 2 * pages[0]


def pages_of_a_claim(worker):
    """Pages that the claim of a batch looks at."""
    with worker.connection.cursor() as cursor:
        seen = Explaining(cursor)
        claiming.claim(seen, 1, [1], [], worker.name, 50)
    worker.connection.rollback()
    return seen.pages


class Explaining:
    """A cursor that explains what it is given, and returns nothing."""

    def __init__(self, cursor):
        self._cursor = cursor
        self.pages = 0

    def execute(self, query, params=None):
        if "WITH candidate" not in query:
            self._cursor.execute(query, params)
            return
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
        self._cursor.execute(f"{explain} {query}", params)
        plan = self._cursor.fetchone()[0][0]["Plan"]
        assert plan["Actual Rows"] == 50
        self.pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    def fetchall(self):
        return []


# -- eight workers ------------------------------------------------------------------

message = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from("abcdef "), st.integers(1, 3)
)


@settings(
    max_examples=600 if LONG else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(messages=st.lists(message, min_size=1, max_size=80))
def test_eight_workers_keep_the_order_of_every_key(team, messages):
    """Whatever interfaces, keys and priorities come in whatever sequence."""
    boss = team[0].connection
    clear(boss)
    ids = store(boss, *((interface, key.strip(), p) for interface, key, p in messages))
    log = []
    together(*(lambda worker=worker: worker.drain(log, LEFT) for worker in team))
    assert sorted(row[0] for row in log) == sorted(ids)
    by_key = defaultdict(list)
    for message_id, key in log:
        by_key[key].append(message_id)
    by_key.pop(None, None)
    for applied in by_key.values():
        assert applied == sorted(applied)


def test_a_poisoned_head_blocks_its_key_only(team):
    boss = team[0].connection
    clear(boss)
    keys = ["sick", *(key for _each in range(5) for key in ("sick", "a", "b", ""))]
    ids = store(boss, *((1, key, 5) for key in keys))
    run(boss, "UPDATE health_message SET state = 'parked' WHERE id = %s", ids[0])
    behind = {
        each for each, key in zip(ids[1:], keys[1:], strict=True) if key == "sick"
    }
    left = f"""SELECT count(*) > {1 + len(behind)} FROM health_message
                WHERE state <> 'done'"""
    log = []
    together(*(lambda worker=worker: worker.drain(log, left) for worker in team))
    assert {row[0] for row in log} == set(ids[1:]) - behind
    with boss, boss.cursor() as cursor:
        claiming.set_back(cursor, 1)
    found = run(boss, "SELECT id FROM health_message WHERE state = 'waiting'")
    assert {row[0] for row in found} == behind


# -- slots ------------------------------------------------------------------------


def test_eight_drains_at_once_take_no_more_slots_than_the_share(team):
    boss = team[0].connection
    run(boss, "INSERT INTO health_backend SELECT * FROM public.health_backend LIMIT 1")
    backend = run(boss, "SELECT id FROM health_backend")[0][0]

    def take(worker):
        while True:
            try:
                with worker.connection, worker.connection.cursor() as cursor:
                    return slots.take(cursor, backend, worker.name)
            except CONFLICTS:
                continue

    for round_number in range(ROUNDS):
        share = 4 - round_number % 4  # it may be lowered, too
        run(boss, "UPDATE health_drain_slot SET lease_until = NULL")
        run(boss, "UPDATE health_backend SET max_drains = %s", share)
        taken = together(*(lambda worker=worker: take(worker) for worker in team))
        numbers = sorted(each for each in taken if each is not None)
        assert numbers == list(range(share))
