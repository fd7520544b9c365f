"""Accept and wake on a real PostgreSQL: races, conflicts, and what is really stored.

The tables are copies with the same columns, defaults and indexes in a schema of their
own, so that nothing of the running system is touched and no drain takes part.
"""

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import psycopg2
import psycopg2.errors
import pytest
from health_connector.lib.accept import Channel, Incoming, accept, payload_aad
from health_connector.lib.keyring import Keyring
from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED as READ_COMMITTED,
    ISOLATION_LEVEL_REPEATABLE_READ as REPEATABLE_READ,
)

ROUNDS = 50
CHANNEL = Channel(interface_id=1, backend_id=1, company_id=1)
RING = Keyring("k1", {"k1": bytes(range(32))}, bytes(range(32, 64)))
MARKER = "ZZMARKERZZ"
TABLES = ("health_message", "health_payload", "health_backend_state")


@pytest.fixture(scope="module")
def schema():
    name = f"test_accept_{uuid.uuid4().hex[:8]}"
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


@pytest.fixture
def connect(schema):
    """Opens connections that see the copies; closes them at the end."""
    opened = []

    def open_one(isolation=READ_COMMITTED):
        connection = psycopg2.connect(
            os.environ.get("HEALTH_PG_DSN", ""),
            options=f"-c search_path={schema},public",
        )
        connection.set_isolation_level(isolation)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect):
    return connect()


def unit(key="", raw=b"{}", channel=CHANNEL, **more):
    return Incoming(channel, raw, dedupe_key=key, **more)


def take(connection, *units):
    """Accept in a transaction of its own."""
    with connection, connection.cursor() as cursor:
        return accept(cursor, RING, units)


def rows(connection, sql, *params):
    with connection, connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def stored(connection, key):
    """Every message that carries this partner's key, the first one first."""
    return rows(
        connection,
        """SELECT id, uid, conflict_id FROM health_message
            WHERE dedupe_key = %s
               OR conflict_id IN (SELECT id FROM health_message WHERE dedupe_key = %s)
         ORDER BY id""",
        *[RING.blind("dedupe:1", key)] * 2,
    )


def both(*functions):
    """Run functions at the same moment; their results, in order."""
    barrier = threading.Barrier(len(functions))

    def run(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


# -- what is stored -------------------------------------------------------------


def test_the_row_and_its_sealed_payload(connection):
    raw = f'{{"patient": "{MARKER}"}}'.encode()
    key = f"{MARKER}-{uuid.uuid4()}"
    before = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(seconds=5)
    receipt = take(
        connection,
        unit(
            key,
            raw,
            order_key=f"{MARKER}-order",
            message_type="ORU^R01",
            external_ref="REF-1",
            content_type="application/json",
            charset="utf-8",
        ),
    )[0]
    assert receipt.verdict == "new"
    assert before < receipt.accepted_at < before + timedelta(minutes=1)
    row = rows(
        connection,
        """SELECT uid, interface_id, backend_id, company_id, direction, state, tries,
                  message_type, external_ref, size, accepted_at, next_try_at
             FROM health_message WHERE id = %s""",
        receipt.message_id,
    )[0]
    assert row[:5] == (receipt.uid, 1, 1, 1, "in")
    assert row[5:10] == ("pending", 0, "ORU^R01", "REF-1", len(raw))
    assert row[10:] == (receipt.accepted_at, receipt.accepted_at)
    key_id, sealed, stage, size, content_type, charset = rows(
        connection,
        """SELECT key_id, sealed, stage, size, content_type, charset
             FROM health_payload WHERE message_id = %s""",
        receipt.message_id,
    )[0]
    opened = RING.open(key_id, bytes(sealed), payload_aad(receipt.uid, "raw"))
    assert opened == raw
    assert (stage, size) == ("raw", len(raw))
    assert (content_type, charset) == ("application/json", "utf-8")


def test_nothing_clear_is_stored_but_type_and_reference(connection):
    receipt = take(
        connection, unit(f"{MARKER}k", MARKER.encode(), order_key=f"{MARKER}o")
    )[0]
    for table, column in (("health_message", "id"), ("health_payload", "message_id")):
        found = rows(
            connection,
            f"SELECT t::text, to_json(t)::text FROM {table} t WHERE {column} = %s",
            receipt.message_id,
        )
        text = repr(found)
        assert receipt.uid in text or table == "health_payload"
        assert MARKER not in text
        assert MARKER.encode().hex() not in text


def test_references_are_cut_and_cleaned_for_the_database(connection):
    receipt = take(
        connection,
        unit(
            "\ud800\0key",
            external_ref="a\0b\ud800" + "x" * 100,
            message_type="\0",
            order_key="\0\ud800",
            content_type="text/plain\0",
            charset="\udc00",
        ),
    )[0]
    found = rows(
        connection,
        "SELECT external_ref, message_type FROM health_message WHERE id = %s",
        receipt.message_id,
    )[0]
    assert found == ("ab?" + "x" * 61, "")
    again = take(connection, unit("\ud800\0key"))[0]
    assert (again.verdict, again.message_id) == ("duplicate", receipt.message_id)


def test_order_keys_are_shared_by_the_interfaces_of_a_backend_only(connection):
    channels = [Channel(1, 1, 1), Channel(2, 1, 1), Channel(3, 2, 1)]
    receipts = take(
        connection,
        *(unit(uuid.uuid4().hex, channel=each, order_key="LAB-1") for each in channels),
        unit(uuid.uuid4().hex),
    )
    found = dict(
        rows(
            connection,
            "SELECT id, order_key FROM health_message WHERE id = ANY(%s)",
            [receipt.message_id for receipt in receipts],
        )
    )
    first, second, other, none = (found[receipt.message_id] for receipt in receipts)
    assert first == second
    assert first != other
    assert none is None


def test_a_rollback_leaves_nothing(connection):
    key = uuid.uuid4().hex
    with connection.cursor() as cursor:
        receipt = accept(cursor, RING, [unit(key)])[0]
    connection.rollback()
    assert stored(connection, key) == []
    assert not rows(
        connection,
        "SELECT 1 FROM health_payload WHERE message_id = %s",
        receipt.message_id,
    )
    assert take(connection, unit(key))[0].verdict == "new"


# -- one key, one message -------------------------------------------------------


def test_a_duplicate_gets_the_first_receipt_again(connection):
    key = uuid.uuid4().hex
    first = take(connection, unit(key))[0]
    again = take(connection, unit(key, external_ref="other"))[0]
    assert (first.verdict, again.verdict) == ("new", "duplicate")
    assert (again.message_id, again.uid) == (first.message_id, first.uid)
    assert again.accepted_at == first.accepted_at
    assert len(stored(connection, key)) == 1


def test_without_a_key_the_bytes_are_the_key(connection):
    raw = uuid.uuid4().bytes
    first, again, other = take(
        connection, unit(raw=raw), unit(raw=raw), unit(raw=raw + b"x")
    )
    assert again.message_id == first.message_id
    assert other.message_id != first.message_id
    assert other.verdict == "new"


def test_a_key_counts_within_its_interface_only(connection):
    key = uuid.uuid4().hex
    first, other = take(connection, unit(key), unit(key, channel=Channel(2, 1, 1)))
    assert [first.verdict, other.verdict] == ["new", "new"]


def test_other_bytes_are_kept_beside_the_first_and_only_once(connection):
    key = uuid.uuid4().hex
    first = take(connection, unit(key, b"a"))[0]
    other = take(connection, unit(key, b"b"))[0]
    repeated = take(connection, unit(key, b"b"))[0]
    third = take(connection, unit(key, b"c"))[0]
    again = take(connection, unit(key, b"a"))[0]
    assert [other.verdict, repeated.verdict, third.verdict] == ["conflict"] * 3
    assert repeated.message_id == other.message_id
    assert (again.verdict, again.uid) == ("duplicate", first.uid)
    assert stored(connection, key) == [
        (first.message_id, first.uid, None),
        (other.message_id, other.uid, first.message_id),
        (third.message_id, third.uid, first.message_id),
    ]


def test_a_batch_with_duplicates_and_conflicts_inside_itself(connection):
    key, other = uuid.uuid4().hex, uuid.uuid4().hex
    batch = [unit(key, b"a"), unit(other), unit(key, b"a"), unit(key, b"b")]
    batch += [unit(key, b"b"), unit(other), unit(key, b"a")]
    receipts = take(connection, *batch)
    assert [receipt.verdict for receipt in receipts] == [
        *("new", "new", "duplicate", "conflict", "conflict", "duplicate", "duplicate")
    ]
    ids = [receipt.message_id for receipt in receipts]
    assert ids[0] == ids[2] == ids[6]
    assert ids[1] == ids[5]
    assert ids[3] == ids[4]
    assert len(stored(connection, key)) == 2
    repeated = take(connection, *batch)
    assert [each.message_id for each in repeated] == ids
    assert {each.verdict for each in repeated} == {"duplicate", "conflict"}


def test_an_empty_batch_is_nothing(connection):
    assert take(connection) == []


def test_ids_follow_the_order_of_the_batch(connection):
    # the drain keeps the order of one order key by the ids
    receipts = take(connection, *(unit(uuid.uuid4().hex) for _each in range(300)))
    ids = [receipt.message_id for receipt in receipts]
    assert ids == sorted(ids)


# -- races ------------------------------------------------------------------------


def test_two_at_once_leave_one_row(connect):
    first, second = connect(), connect()
    for _round in range(ROUNDS):
        key = uuid.uuid4().hex
        receipts = both(
            lambda key=key: take(first, unit(key))[0],
            lambda key=key: take(second, unit(key))[0],
        )
        assert sorted(each.verdict for each in receipts) == ["duplicate", "new"]
        assert len({(each.message_id, each.uid) for each in receipts}) == 1
        assert len(stored(first, key)) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_second_waits_for_how_the_first_ends(connect, end):
    first, second, key = connect(), connect(), uuid.uuid4().hex
    with first.cursor() as cursor:
        held = accept(cursor, RING, [unit(key)])[0]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(take, second, unit(key))
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        getattr(first, end)()
        receipt = waiting.result(timeout=10)[0]
    expected = "duplicate" if end == "commit" else "new"
    assert receipt.verdict == expected
    assert (receipt.uid == held.uid) == (end == "commit")
    assert len(stored(first, key)) == 1


def test_two_contents_at_once_leave_the_first_and_a_conflict(connect):
    first, second = connect(), connect()
    for _round in range(ROUNDS // 2):
        key = uuid.uuid4().hex
        receipts = both(
            lambda key=key: take(first, unit(key, b"a"))[0],
            lambda key=key: take(second, unit(key, b"b"))[0],
        )
        assert sorted(each.verdict for each in receipts) == ["conflict", "new"]
        found = stored(first, key)
        assert [row[2] for row in found] == [None, found[0][0]]


def test_batches_that_meet_in_opposite_order_do_not_stop_each_other(connect):
    first, second = connect(), connect()
    for _round in range(ROUNDS):
        units = [unit(uuid.uuid4().hex) for _each in range(40)]
        units += [unit(each.dedupe_key, b"other") for each in units]
        there, back = both(
            lambda units=units: take(first, *units),
            lambda units=units: take(second, *reversed(units)),
        )
        assert {each.uid for each in there} == {each.uid for each in back}


def test_a_race_at_repeatable_read_is_told_and_repeating_it_succeeds(connect):
    slow, fast = connect(REPEATABLE_READ), connect(REPEATABLE_READ)
    for _round in range(5):
        key = uuid.uuid4().hex
        with slow.cursor() as cursor:
            cursor.execute("SELECT 1")  # takes the snapshot
            first = take(fast, unit(key))[0]
            with pytest.raises(psycopg2.errors.SerializationFailure):
                accept(cursor, RING, [unit(key)])
        slow.rollback()
        again = take(slow, unit(key))[0]
        assert (again.verdict, again.uid) == ("duplicate", first.uid)
        assert len(stored(fast, key)) == 1


def test_a_duplicate_vouches_for_the_first_that_may_not_be_on_disk_yet(connect):
    """The gateway commits before it flushes. Whoever answers a duplicate in between
    must have flushed it, or a crash would take back what was acknowledged."""
    hasty, careful, probe = connect(), connect(), connect()
    probe.autocommit = True
    for _round in range(ROUNDS):
        key = uuid.uuid4().hex
        with hasty.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        hasty.commit()
        take(hasty, unit(key))
        with probe.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn()")
            written = cursor.fetchone()[0]
            assert take(careful, unit(key))[0].verdict == "duplicate"
            cursor.execute("SELECT pg_current_wal_flush_lsn() >= %s", [written])
            assert cursor.fetchone()[0], "acknowledged, and not on disk"
