"""Who drains a backend: its share of the workers."""

from odoo import api, fields, models

from .work import DATABASE_CONFLICTS, transaction

#: seconds after which the place of a drain that says nothing is free again
LEASE = 20.0
_NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"
_UNTIL = f"{_NOW} + %(lease)s * interval '1 second'"

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
       AND (f.lease_until IS NULL OR f.lease_until < {_NOW})
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
       AND s.lease_until >= {_NOW}
 WHERE b.id = %s GROUP BY b.id
"""


class HealthDrainSlot(models.Model):
    """A place at which one drain of a backend works, held by a lease.

    A backend has as many as its share says (``max_drains``), on whatever node: so one
    that is slow never holds more workers than that. Slot 0 is the main drain, which
    keeps the promise of lib/wake.py; the others help with a backlog.

    Changed by SQL, each time in a short transaction of its own.
    """

    _name = "health.drain.slot"
    _description = "Drain slot"
    _log_access = False
    _rec_name = "number"

    backend_id = fields.Many2one("health.backend", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="backend_id.company_id")
    number = fields.Integer(required=True)
    lease_owner = fields.Char()
    lease_until = fields.Datetime()

    _number_unique = models.UniqueIndex("(backend_id, number)")

    @api.model
    def _take(self, backend, owner):
        """Take the first free slot, for :data:`LEASE` seconds.

        :return: its number, or None when the backend has its share
        """
        return self._run(_MAKE + ";" + _TAKE, backend, owner)

    @api.model
    def _renew(self, backend, owner):
        """Hold the slot on.

        :return: its number; None when it was lost
        """
        return self._run(_RENEW, backend, owner)

    @api.model
    def _leave(self, backend, owner):
        """Free the slot for another drain."""
        with transaction(self.env) as env:
            env.cr.execute(_LEAVE, {"backend": backend.id, "owner": owner})

    @api.model
    def _run(self, statement, backend, owner):
        """One statement in its own transaction; again when others were faster."""
        values = {"backend": backend.id, "owner": owner, "lease": LEASE}
        while True:
            try:
                with transaction(self.env) as env:
                    env.cr.execute(statement, values)
                    row = env.cr.fetchone()
                    return row[0] if row else None
            except DATABASE_CONFLICTS:
                continue

    @api.model
    def _has_free(self, backend):
        """Whether the backend's share would let another drain work."""
        self.env.cr.execute(_HAS_FREE, [backend.id])
        return self.env.cr.fetchone()[0]
