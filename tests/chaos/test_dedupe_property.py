"""Random traffic against the real accept on PostgreSQL, beside a model of six lines.

Few keys and few contents, so that they meet often; batches are committed or rolled
back, on connections of both isolation levels. The tables are copies in a schema of
their own: no drain takes part.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import hypothesis.strategies as st
import psycopg2
import pytest
from health_connector.lib.accept import Channel, Incoming, accept
from health_connector.lib.keyring import Keyring
from hypothesis import HealthCheck, given, settings
from live import database
from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED as READ_COMMITTED,
    ISOLATION_LEVEL_REPEATABLE_READ as REPEATABLE_READ,
)

LONG = bool(os.environ.get("HEALTH_LONG"))
RING = Keyring("k1", {"k1": bytes(range(32))}, bytes(range(32, 64)))
TABLES = ("health_message", "health_payload")

units = st.tuples(
    st.sampled_from((1, 2)),  # interface
    st.sampled_from(("", "a", "b", "c")),  # the partner's key; none: the bytes
    st.sampled_from((b"x", b"y", b"z")),
)
steps = st.tuples(
    st.lists(units, min_size=1, max_size=6), st.booleans(), st.sampled_from((0, 1))
)


@pytest.fixture(scope="module")
def connections() -> Iterator[list]:
    name = f"test_dedupe_{uuid.uuid4().hex[:8]}"
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
        for table in TABLES:
            like = f"LIKE public.{table} INCLUDING ALL"
            cursor.execute(f"CREATE TABLE {name}.{table} ({like})")
    opened = []
    for isolation in (READ_COMMITTED, REPEATABLE_READ):
        path = f"-c search_path={name},public"
        opened.append(psycopg2.connect(os.environ["HEALTH_PG_DSN"], options=path))
        opened[-1].set_isolation_level(isolation)
    yield opened
    for connection in opened:
        connection.close()
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {name} CASCADE")


class Model:
    """What is stored: the first content of a key, and conflicts beside it."""

    def __init__(self) -> None:
        self.first: dict[tuple, bytes] = {}
        self.ids: dict[tuple, int] = {}

    def expect(self, unit: tuple) -> tuple[str, tuple]:
        """The verdict, and what identifies the stored message."""
        interface, key, raw = unit
        place = (interface, key or raw)
        if place not in self.first:
            self.first[place] = raw
            return "new", (*place, raw)
        same = self.first[place] == raw
        return ("duplicate" if same else "conflict"), (*place, raw)


@settings(
    max_examples=300 if LONG else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(steps, min_size=1, max_size=12))
def test_accept_does_what_the_model_says(connections, traffic) -> None:
    run, model = uuid.uuid4().hex[:8], Model()
    for batch, commit, number in traffic:
        connection = connections[number]
        trial = Model()
        trial.first, trial.ids = dict(model.first), dict(model.ids)
        with connection.cursor() as cursor:
            receipts = accept(cursor, RING, [incoming(run, *unit) for unit in batch])
        for unit, receipt in zip(batch, receipts, strict=True):
            verdict, stored = trial.expect(unit)
            assert receipt.verdict == verdict
            assert trial.ids.setdefault(stored, receipt.message_id) == (
                receipt.message_id
            )
        if commit:
            connection.commit()
            model = trial
        else:
            connection.rollback()
    assert rows_of(connections[0], run) == sorted(model.ids.values())


def incoming(run: str, interface: int, key: str, raw: bytes) -> Incoming:
    channel = Channel(interface_id=interface, backend_id=1, company_id=1)
    key = key and f"{run}-{key}"
    return Incoming(channel, run.encode() + raw, dedupe_key=key, external_ref=run)


def rows_of(connection, run: str) -> list[int]:
    """The ids of the run's messages, each with exactly one payload."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT m.id, count(p.message_id) FROM health_message m
            LEFT JOIN health_payload p ON p.message_id = m.id
                WHERE m.external_ref = %s GROUP BY m.id ORDER BY m.id""",
            [run],
        )
        rows = cursor.fetchall()
    assert all(payloads == 1 for _id, payloads in rows)
    return [row[0] for row in rows]
