"""Routed copies: what a message feeds besides the interface that accepted it.

Stored by ``accept`` right after the message, in the same transaction, so that either
all of it is there or nothing. A copy has no bytes of its own; its raw payload is that
of its origin. A duplicate makes no copies: what was decided for the first one stands.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .states import OFF, SHADOW
from .urgency import priority_of

if TYPE_CHECKING:
    from .accept import Cursor, Incoming, Receipt, Sealer, Target

#: why a message that its own interface has switched off is ignored
REASON_OFF = "route.off"

# Ids follow the batch, as those of the messages themselves do.
_COPY = """
INSERT INTO health_message (
    id, uid, interface_id, backend_id, company_id, priority, dedupe_key, order_key,
    route_id, is_shadow, direction, origin_id, content_hash, message_type,
    external_ref, size, state, tries, accepted_at, state_at, next_try_at)
SELECT nextval('health_message_id_seq'), c.uid, c.interface_id, c.backend_id,
       c.company_id, c.priority, c.dedupe_key, c.order_key, c.route_id, c.is_shadow,
       c.direction, o.id, o.content_hash, o.message_type, o.external_ref, o.size,
       'pending', 0, o.accepted_at, o.state_at, o.next_try_at
  FROM unnest(
       %s::varchar[], %s::int[], %s::int[], %s::int[], %s::int[], %s::varchar[],
       %s::varchar[], %s::int[], %s::boolean[], %s::varchar[], %s::int[]
  ) WITH ORDINALITY AS c (
       uid, interface_id, backend_id, company_id, priority, dedupe_key, order_key,
       route_id, is_shadow, direction, origin_id, place)
  JOIN health_message o ON o.id = c.origin_id
 ORDER BY c.place
"""

_OWN_SHADOW = "UPDATE health_message SET is_shadow = true WHERE id = ANY(%s::int[])"

# its first state, set before anybody else sees the row
_OWN_OFF = """
UPDATE health_message SET state = 'ignored', reason = %s WHERE id = ANY(%s::int[])
"""


def is_routed(units: Iterable[Incoming]) -> bool:
    """Whether storing these takes more than one statement, so that the caller's
    transaction must hold them together."""
    return any(unit.targets or unit.mode in (SHADOW, OFF) for unit in units)


def drains(units: Iterable[Incoming]) -> set[tuple[str, int]]:
    """The drains to wake for what was stored, as (direction, backend id)."""
    woken = {("in", unit.channel.backend_id) for unit in units}
    for unit in units:
        woken |= {(way.direction, way.channel.backend_id) for way in unit.targets}
    return woken


def fan_out(
    cr: Cursor, keyring: Sealer, stored: Sequence[tuple[Incoming, Receipt]]
) -> None:
    """Store the copies of newly stored units, and how their own interface takes part.

    Runs in the transaction that stored them. Never repeated for a stored unit.
    """
    own = {SHADOW: [], OFF: []}
    copies = []
    for unit, receipt in stored:
        if unit.mode in own:
            own[unit.mode].append(receipt.message_id)
        copies += [_row(keyring, unit, receipt, target) for target in unit.targets]
    if own[SHADOW]:
        cr.execute(_OWN_SHADOW, [own[SHADOW]])
    if own[OFF]:
        cr.execute(_OWN_OFF, [REASON_OFF, own[OFF]])
    if copies:
        cr.execute(_COPY, [list(column) for column in zip(*copies, strict=True)])


def _row(keyring: Sealer, unit: Incoming, receipt: Receipt, target: Target) -> tuple:
    channel = target.channel
    text = unit.order_key if target.order_key is None else target.order_key
    scope = f"route:{channel.interface_id}"
    return (
        uuid.uuid4().hex,
        channel.interface_id,
        channel.backend_id,
        channel.company_id,
        priority_of(unit.urgent, unit.channel.urgent, channel.priority),
        keyring.blind(scope, receipt.uid),
        keyring.blind(_order_scope(target), text) if text else None,
        target.route_id or None,
        target.shadow,
        target.direction,
        receipt.message_id,
    )


def _order_scope(target: Target) -> str:
    """What leaves has an order of its own: a call in doubt holds up nothing inbound."""
    scope = f"order:{target.channel.backend_id}"
    return f"{scope}:out" if target.direction == "out" else scope
