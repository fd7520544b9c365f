"""Slots of a drain: who works on a backend, by leases. Functions over a cursor."""

from __future__ import annotations

from .accept import Cursor
from .claiming import NOW

#: seconds after which the place of a drain that says nothing is free again
LEASE = 20.0
_UNTIL = f"{NOW} + %(lease)s * interval '1 second'"

_MAKE = """
INSERT INTO health_drain_slot (backend_id, number)
SELECT b.id, n FROM health_backend b, generate_series(0, b.max_drains - 1) AS n
 WHERE b.id = %(backend)s
ON CONFLICT (backend_id, number) DO NOTHING
"""

_TAKE = f"""
UPDATE health_drain_slot s
   SET lease_owner = %(owner)s, lease_until = {_UNTIL}
 WHERE s.id = (
    SELECT f.id FROM health_drain_slot f JOIN health_backend b ON b.id = f.backend_id
     WHERE b.id = %(backend)s AND f.number < b.max_drains
       AND (f.lease_until IS NULL OR f.lease_until < {NOW})
     ORDER BY f.number LIMIT 1 FOR UPDATE OF f SKIP LOCKED)
RETURNING s.number
"""

_RENEW = f"""
UPDATE health_drain_slot SET lease_until = {_UNTIL}
 WHERE backend_id = %(backend)s AND lease_owner = %(owner)s
RETURNING number
"""

_LEAVE = """
UPDATE health_drain_slot SET lease_owner = NULL, lease_until = NULL
 WHERE backend_id = %(backend)s AND lease_owner = %(owner)s
"""

_HAS_FREE = f"""
SELECT count(s.id) < b.max_drains FROM health_backend b
  LEFT JOIN health_drain_slot s ON s.backend_id = b.id AND s.number < b.max_drains
       AND s.lease_until >= {NOW}
 WHERE b.id = %s GROUP BY b.id
"""


def take(cr: Cursor, backend_id: int, owner: str) -> int | None:
    """Take the first free slot of a backend, for :data:`LEASE` seconds.

    In a transaction of its own; a serialization failure means that others were
    faster, and the caller runs it again.

    :return: its number, or None when the backend has its share
    """
    values = {"backend": backend_id, "owner": owner, "lease": LEASE}
    cr.execute(_MAKE, values)
    return _number(cr, _TAKE, values)


def renew(cr: Cursor, backend_id: int, owner: str) -> int | None:
    """Hold the slot on; rule of :func:`take`.

    :return: its number, or None when it was lost
    """
    values = {"backend": backend_id, "owner": owner, "lease": LEASE}
    return _number(cr, _RENEW, values)


def leave(cr: Cursor, backend_id: int, owner: str) -> None:
    """Free the slot for another drain."""
    cr.execute(_LEAVE, {"backend": backend_id, "owner": owner})


def has_free(cr: Cursor, backend_id: int) -> bool:
    """Whether the backend's share would let another drain work."""
    cr.execute(_HAS_FREE, [backend_id])
    return cr.fetchall()[0][0]


def _number(cr: Cursor, statement: str, values: dict) -> int | None:
    cr.execute(statement, values)
    rows = cr.fetchall()
    return rows[0][0] if rows else None
