"""Accept: the one door through which a message enters (design §6).

A pure function over a database cursor, shared by the HTTP controller, the MLLP
listener and whatever else brings bytes in. It stores the sealed payload and the
envelope and decides new, duplicate or conflict by one ``INSERT … ON CONFLICT``;
it parses nothing. The caller commits, and answers the partner only after that.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from .fan_out import fan_out, is_routed
from .urgency import priority_of

NEW = "new"
DUPLICATE = "duplicate"
CONFLICT = "conflict"

REFERENCE_LENGTH = 64


class Cursor(Protocol):
    """What is needed of a cursor; psycopg2's and Odoo's both fit."""

    def execute(self, query: str, params: Any = None) -> Any: ...

    def fetchall(self) -> list[tuple]: ...


class Sealer(Protocol):
    """What is needed of the key ring."""

    def seal(self, data: bytes, aad: bytes) -> tuple[str, bytes]: ...

    def blind(self, scope: str, text: str | bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Channel:
    """The interface as accept sees it; plain ids only.

    :param urgent: what an urgent message says, in capitals (``lib/urgency.py``)
    """

    interface_id: int
    backend_id: int
    company_id: int
    priority: int = 5
    urgent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A further interface that gets the unit too (``lib/route.py``).

    :param route_id: the route that said so
    :param shadow: to be applied in a transaction that is rolled back
    :param order_key: in clear; None for that of the unit
    """

    channel: Channel
    route_id: int = 0
    shadow: bool = False
    order_key: str | None = None
    direction: str = "in"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One unit from a partner, with the keys its codec read from it.

    :param dedupe_key: the partner's key in clear (hashed here); empty means that
        the bytes themselves are the key
    :param order_key: what must stay in order (order, patient …); empty for none
    :param external_ref: the partner's own reference (MSH-10, Idempotency-Key)
    :param urgent: what it says of its urgency
    :param targets: further interfaces that get it too (``lib/route.py``)
    :param mode: how its own interface takes part: live, shadow or off
    """

    channel: Channel
    raw: bytes
    dedupe_key: str = ""
    order_key: str = ""
    message_type: str = ""
    external_ref: str = ""
    content_type: str = ""
    charset: str = ""
    urgent: str = ""
    targets: tuple[Target, ...] = ()
    mode: str = "live"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stored message. For a duplicate, all but the verdict are the first's.

    :param uid: 32 hexadecimal digits; with ``accepted_at`` (UTC, naive) an answer
        can be derived that is the same byte for byte for every duplicate
    """

    message_id: int
    uid: str
    verdict: str
    accepted_at: datetime


def payload_aad(uid: str, stage: str) -> bytes:
    """What binds sealed bytes to their message and stage; a swapped row won't open."""
    return f"{uid}|{stage}".encode()


# Ids follow the batch: the drain keeps messages of one order key in the order of
# their ids. Rows are inserted in the order of their keys: two batches that share
# keys then wait for each other in one direction only, and cannot deadlock.
_STORE = """
WITH incoming AS MATERIALIZED (
    SELECT nextval('health_message_id_seq') AS id, i.* FROM unnest(
        %s::varchar[], %s::int[], %s::int[], %s::int[], %s::int[], %s::varchar[],
        %s::varchar[], %s::varchar[], %s::int[], %s::varchar[], %s::varchar[],
        %s::int[], %s::varchar[], %s::bytea[], %s::varchar[], %s::varchar[]
    ) AS i (
        uid, interface_id, backend_id, company_id, priority, dedupe_key,
        order_key, content_hash, conflict_id, message_type, external_ref,
        size, key_id, sealed, content_type, charset
    )
), stored AS (
    INSERT INTO health_message (
        id, uid, interface_id, backend_id, company_id, priority, dedupe_key,
        order_key, content_hash, conflict_id, message_type, external_ref,
        size, direction, state, tries, accepted_at, state_at, next_try_at
    )
    SELECT id, uid, interface_id, backend_id, company_id, priority, dedupe_key,
           order_key, content_hash, conflict_id, message_type, external_ref,
           size, 'in', 'pending', 0, now() AT TIME ZONE 'UTC',
           now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
      FROM incoming
     ORDER BY interface_id, dedupe_key, id
    ON CONFLICT (interface_id, dedupe_key) DO NOTHING
    RETURNING id, uid, accepted_at
), payload AS (
    INSERT INTO health_payload (
        message_id, stage, key_id, sealed, size, content_type, charset
    )
    SELECT id, 'raw', key_id, sealed, size, content_type, charset
      FROM stored JOIN incoming USING (id)
)
SELECT uid, id, accepted_at FROM stored
"""

_FIND = """
SELECT m.interface_id, m.dedupe_key, m.id, m.uid, m.accepted_at, m.content_hash
  FROM health_message m
  JOIN unnest(%s::int[], %s::varchar[]) AS k (interface_id, dedupe_key)
 USING (interface_id, dedupe_key)
"""


# Whoever stored the first one may have committed without waiting for the disk and not
# be there yet (the gateway). A transaction that writes nothing waits for nothing: this
# record makes its commit wait for all that was logged before, the first one included.
_VOUCH = "SELECT pg_logical_emit_message(true, 'health_accept', '')"


@dataclass(slots=True)
class _Row:
    """An incoming unit with its hashes, on its way into the table."""

    unit: Incoming
    uid: str
    dedupe_key: str
    content_hash: str
    conflict_id: int | None = None

    @property
    def key(self) -> tuple[int, str]:
        return self.unit.channel.interface_id, self.dedupe_key


def accept(cr: Cursor, keyring: Sealer, batch: Sequence[Incoming]) -> list[Receipt]:
    """Store a batch of incoming units; receipts come back in the same order.

    Same key and same bytes as a stored message: a ``duplicate`` receipt that names
    the first one, nothing is written. Same key, other bytes: the unit is stored
    beside the first and the receipt says ``conflict``; the drain parks it under an
    exception. What routes add is stored along with it. The caller commits; a batch
    with routes (:func:`fan_out.is_routed`) takes several statements and needs one
    transaction, any other may run in autocommit. Safe to repeat as a whole. At READ
    COMMITTED it never fails on a race, it waits for how the other one ends; at
    REPEATABLE READ a race raises a serialization failure and the transaction must be
    run again.
    """
    rows = [_prepare(keyring, unit) for unit in batch]
    receipts: dict[str, Receipt] = {}
    _store(cr, keyring, rows, receipts, NEW)
    if is_routed(batch):
        fan_out(
            cr,
            keyring,
            [(row.unit, receipts[row.uid]) for row in rows if row.uid in receipts],
        )
    known = [row for row in rows if row.uid not in receipts]
    if known:
        conflicts = _compare(cr, keyring, known, receipts)
        if conflicts:
            _store(cr, keyring, conflicts, receipts, CONFLICT)
            again = [row for row in conflicts if row.uid not in receipts]
            _recall(cr, again, receipts)
        cr.execute(_VOUCH)
    return [receipts[row.uid] for row in rows]


def _prepare(keyring: Sealer, unit: Incoming) -> _Row:
    content_hash = keyring.blind("content", unit.raw)
    scope = f"dedupe:{unit.channel.interface_id}"
    dedupe_key = keyring.blind(scope, unit.dedupe_key or content_hash)
    return _Row(unit, uuid.uuid4().hex, dedupe_key, content_hash)


def _store(
    cr: Cursor,
    keyring: Sealer,
    rows: list[_Row],
    receipts: dict[str, Receipt],
    verdict: str,
) -> None:
    """Insert what is new and note its receipt; rows already there are left out."""
    if not rows:
        return
    records = [_record(keyring, row) for row in rows]
    cr.execute(_STORE, [list(column) for column in zip(*records, strict=True)])
    for uid, message_id, accepted_at in cr.fetchall():
        receipts[uid] = Receipt(message_id, uid, verdict, accepted_at)


def _record(keyring: Sealer, row: _Row) -> tuple:
    unit, channel = row.unit, row.unit.channel
    key_id, sealed = keyring.seal(unit.raw, payload_aad(row.uid, "raw"))
    order_key = None
    if unit.order_key:
        order_key = keyring.blind(f"order:{channel.backend_id}", unit.order_key)
    return (
        row.uid,
        channel.interface_id,
        channel.backend_id,
        channel.company_id,
        priority_of(unit.urgent, channel.urgent, channel.priority),
        row.dedupe_key,
        order_key,
        row.content_hash,
        row.conflict_id,
        _reference(unit.message_type),
        _reference(unit.external_ref),
        len(unit.raw),
        key_id,
        sealed,
        _reference(unit.content_type),
        _reference(unit.charset),
    )


def _reference(text: str) -> str:
    """A partner's text as a column can hold it: no NUL, no broken letters, short."""
    clean = text.replace("\0", "").encode("utf-8", "replace").decode()
    return clean[:REFERENCE_LENGTH]


def _find(cr: Cursor, rows: list[_Row]) -> dict[tuple[int, str], tuple]:
    keys = [row.key for row in rows]
    cr.execute(_FIND, [[key[0] for key in keys], [key[1] for key in keys]])
    return {(found[0], found[1]): found[2:] for found in cr.fetchall()}


def _compare(
    cr: Cursor, keyring: Sealer, rows: list[_Row], receipts: dict[str, Receipt]
) -> list[_Row]:
    """Give duplicates their receipt; return rows whose bytes differ, re-keyed."""
    found = _find(cr, rows)
    conflicts = []
    for row in rows:
        first_id, first_uid, accepted_at, content_hash = found[row.key]
        if content_hash == row.content_hash:
            receipts[row.uid] = Receipt(first_id, first_uid, DUPLICATE, accepted_at)
            continue
        row.conflict_id = first_id
        scope = f"conflict:{row.unit.channel.interface_id}"
        row.dedupe_key = keyring.blind(scope, row.dedupe_key + row.content_hash)
        conflicts.append(row)
    return conflicts


def _recall(cr: Cursor, rows: list[_Row], receipts: dict[str, Receipt]) -> None:
    """A conflict that was stored before is the same conflict again."""
    if not rows:
        return
    found = _find(cr, rows)
    for row in rows:
        message_id, uid, accepted_at, _hash = found[row.key]
        receipts[row.uid] = Receipt(message_id, uid, CONFLICT, accepted_at)
