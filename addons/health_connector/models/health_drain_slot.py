"""Who drains a backend: its share of the workers."""

from odoo import api, fields, models

from ..lib import slots
from .work import DATABASE_CONFLICTS, transaction


class HealthDrainSlot(models.Model):
    """A place at which one drain of a backend works, held by a lease.

    A backend has as many as its share says (``max_drains``), on whatever node: so one
    that is slow never holds more workers than that. Slot 0 is the main drain, which
    keeps the promise of lib/wake.py; the others help with a backlog.

    Changed by the statements of lib/slots.py, each in a short transaction of its own.
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
        """See ``slots.take``."""
        return self._run(slots.take, backend, owner)

    @api.model
    def _renew(self, backend, owner):
        """See ``slots.renew``."""
        return self._run(slots.renew, backend, owner)

    @api.model
    def _leave(self, backend, owner):
        """See ``slots.leave``."""
        return self._run(slots.leave, backend, owner)

    @api.model
    def _run(self, step, backend, owner):
        """A step in its own transaction; again when others were faster."""
        while True:
            try:
                with transaction(self.env) as env:
                    return step(env.cr, backend.id, owner)
            except DATABASE_CONFLICTS:
                continue
