"""Accept without a database: what leaves for it. What it does there is proved by
``tests/e2e/test_accept_sql.py`` on a real one."""

from datetime import datetime

import pytest
from health_connector.lib.accept import (
    REFERENCE_LENGTH,
    Channel,
    Incoming,
    accept,
    payload_aad,
)
from health_connector.lib.keyring import Keyring

RING = Keyring("k1", {"k1": bytes(range(32))}, bytes(range(32, 64)))
CHANNEL = Channel(interface_id=3, backend_id=2, company_id=1, priority=7)
MARKER = "ZZMARKERZZ"
NOW = datetime(2026, 1, 1, 12, 0, 0)
COLUMNS = (
    "uid interface_id backend_id company_id priority dedupe_key order_key content_hash "
    "conflict_id message_type external_ref size key_id sealed content_type charset"
).split()


class Recorder:
    """A cursor that stores everything as new and keeps what it was given."""

    def __init__(self):
        self.statements = []

    def execute(self, query, params=None):
        assert query.count("%s") == len(params)
        self.statements.append(params)

    def fetchall(self):
        uids = self.statements[-1][0]
        return [(uid, number, NOW) for number, uid in enumerate(uids, 1)]

    @property
    def rows(self):
        """The rows of the first statement, as dicts."""
        columns = zip(*self.statements[0], strict=True)
        return [dict(zip(COLUMNS, row, strict=True)) for row in columns]


def taken(*units):
    recorder = Recorder()
    return recorder, accept(recorder, RING, units)


def test_a_batch_of_new_units_is_one_statement():
    recorder, receipts = taken(*(Incoming(CHANNEL, b"%d" % n) for n in range(100)))
    assert len(recorder.statements) == 1
    assert [receipt.message_id for receipt in receipts] == list(range(1, 101))
    assert {receipt.verdict for receipt in receipts} == {"new"}
    assert len({receipt.uid for receipt in receipts}) == 100


def test_an_empty_batch_is_no_statement():
    recorder, receipts = taken()
    assert (recorder.statements, receipts) == ([], [])


def test_nothing_clear_leaves_but_type_and_reference():
    recorder, _receipts = taken(
        Incoming(CHANNEL, MARKER.encode(), dedupe_key=MARKER, order_key=MARKER)
    )
    assert MARKER not in repr(recorder.statements)
    assert MARKER.encode().hex() not in repr(recorder.statements)


def test_the_payload_is_sealed_for_its_message_and_stage():
    recorder, receipts = taken(Incoming(CHANNEL, b"one"), Incoming(CHANNEL, b"two"))
    opened = [
        RING.open(row["key_id"], row["sealed"], payload_aad(receipt.uid, "raw"))
        for row, receipt in zip(recorder.rows, receipts, strict=True)
    ]
    assert opened == [b"one", b"two"]


def test_a_message_and_a_stage_are_told_apart():
    aads = {payload_aad(uid, stage) for uid in ("a", "b") for stage in ("raw", "sent")}
    assert len(aads) == 4


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ({"dedupe_key": "A"}, {"dedupe_key": "A", "raw": b"other"}, True),
        ({"dedupe_key": "A"}, {"dedupe_key": "B"}, False),
        ({}, {}, True),
        ({}, {"raw": b"other"}, False),
        ({"dedupe_key": "A"}, {"dedupe_key": "A", "channel": Channel(4, 2, 1)}, False),
    ],
)
def test_which_units_share_a_key(first, second, equal):
    defaults = {"channel": CHANNEL, "raw": b"{}"}
    recorder, _receipts = taken(
        Incoming(**{**defaults, **first}), Incoming(**{**defaults, **second})
    )
    one, other = (row["dedupe_key"] for row in recorder.rows)
    assert (one == other) == equal


def test_the_row_says_what_the_door_knew():
    recorder, _receipts = taken(
        Incoming(
            CHANNEL,
            b"12345",
            message_type="ORU^R01",
            external_ref="R" * 100,
            content_type="x\0",
            charset="8859/1",
        )
    )
    row = recorder.rows[0]
    assert (row["interface_id"], row["backend_id"], row["company_id"]) == (3, 2, 1)
    assert (row["priority"], row["size"], row["order_key"]) == (7, 5, None)
    assert row["message_type"] == "ORU^R01"
    assert row["external_ref"] == "R" * REFERENCE_LENGTH
    assert (row["content_type"], row["charset"]) == ("x", "8859/1")
