"""One try at a message; append-only evidence."""

from odoo import api, fields, models

from ..lib import rollup, states
from .implied import ImpliedMany2one

_FAILURES = states.sql_list(rollup.FAILURES)


class HealthAttempt(models.Model):
    """What was tried, when, for how long, and how it ended. Holds no content."""

    _name = "health.attempt"
    _inherit = "health.evidence"
    _description = "Attempt"
    _order = "id desc"
    _log_access = False
    _rec_name = "outcome"

    message_id = ImpliedMany2one(
        "health.message", required=True, readonly=True, index=True
    )
    company_id = fields.Many2one(related="message_id.company_id")
    number = fields.Integer(readonly=True, aggregator=None)
    step = fields.Char(
        readonly=True, help="The step that ended it: open, decode, map, apply …"
    )
    started_at = fields.Datetime(readonly=True)
    duration_ms = fields.Float(readonly=True, aggregator=None)
    outcome = fields.Char(
        required=True, readonly=True, help="done, ignored, or an error class."
    )
    code = fields.Char(readonly=True)
    params = fields.Json(readonly=True)
    note = fields.Char(string="By whom, and why", compute="_compute_note")
    trace = fields.Text(
        readonly=True,
        help="Places in the code, without values.",
        groups="health_base.group_administrator",
    )
    job_uuid = fields.Char(readonly=True)

    # roll-up: failed tries of a message
    _failed_idx = models.Index(f"(message_id) WHERE outcome IN {_FAILURES}")

    def init(self):
        # retention's deletions are to be room for new rows soon, not after a fifth
        self.env.cr.execute(
            "ALTER TABLE health_attempt SET (autovacuum_vacuum_scale_factor = 0.05)"
        )

    @api.depends("params")
    def _compute_note(self):
        """Of what a person did: opened, corrected or reverted the message."""
        for attempt in self:
            params = attempt.params or {}
            user = self.env["res.users"].sudo().browse(params.get("user") or [])
            known = user.exists().name
            attempt.note = known and f"{known}: {params.get('reason') or ''}"

    @api.model
    def _append(self, rows):
        """Insert attempts with one statement.

        :param rows: dicts with message_id, number, step, started_at, duration_ms,
            outcome, code, params (JSON text or None), trace
        """
        if not rows:
            return
        columns = (
            "message_id",
            "number",
            "step",
            "started_at",
            "duration_ms",
            "outcome",
            "code",
            "params",
            "trace",
        )
        job_uuid = self.env.context.get("job_uuid")
        self.env.cr.execute_values(
            f"INSERT INTO health_attempt ({', '.join(columns)}, job_uuid) VALUES %s",
            [(*(row.get(name) for name in columns), job_uuid) for row in rows],
        )
