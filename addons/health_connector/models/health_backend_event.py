"""What happened to the flow of a backend; append-only evidence."""

from odoo import api, fields, models

from .health_backend_gate import BREAKER_STATES, CAUSES


class HealthBackendEvent(models.Model):
    """One move of the breaker or of a pause switch, with who decided it and why."""

    _name = "health.backend.event"
    _inherit = "health.evidence"
    _description = "Backend event"
    _order = "id desc"
    _log_access = False
    _rec_name = "kind"

    backend_id = fields.Many2one(
        "health.backend", required=True, ondelete="cascade", readonly=True, index=True
    )
    company_id = fields.Many2one(related="backend_id.company_id")
    at = fields.Datetime(required=True, readonly=True)
    kind = fields.Selection(
        [
            ("breaker", "Breaker"),
            ("pause_in", "Inbound pause"),
            ("pause_out", "Outbound pause"),
        ],
        required=True,
        readonly=True,
    )
    from_state = fields.Selection(
        [*BREAKER_STATES, ("running", "Running"), ("paused", "Paused")],
        string="From",
        readonly=True,
    )
    to_state = fields.Selection(
        [*BREAKER_STATES, ("running", "Running"), ("paused", "Paused")],
        string="To",
        readonly=True,
    )
    cause = fields.Selection(CAUSES, readonly=True)
    reason = fields.Char(readonly=True, help="In the words of the person.")
    until = fields.Datetime(readonly=True)
    user_id = fields.Many2one(
        "res.users", string="By", readonly=True, help="Empty: the system itself."
    )

    @api.model
    def _append(
        self, backend, kind, before, after, cause, reason=None, user=None, until=None
    ):
        """Insert one row, in the caller's transaction."""
        self.env.cr.execute(
            """INSERT INTO health_backend_event (backend_id, at, kind, from_state,
                      to_state, cause, reason, until, user_id)
               VALUES (%s, clock_timestamp() AT TIME ZONE 'UTC', %s, %s, %s, %s, %s,
                       %s, %s)""",
            [
                backend.id,
                kind,
                before,
                after,
                cause,
                reason or None,
                until or None,
                user.id if user else None,
            ],
        )
        backend.invalidate_recordset(["event_ids"])
