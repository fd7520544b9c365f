"""Runtime state of a backend, apart from its configuration."""

from odoo import fields, models


class HealthBackendState(models.Model):
    """One small row per backend, changed by SQL in its own short transaction."""

    _name = "health.backend.state"
    _description = "Backend runtime state"
    _log_access = False
    _rec_name = "backend_id"

    backend_id = fields.Many2one("health.backend", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="backend_id.company_id")
    drain_until = fields.Datetime(
        help="A running drain promises to look for work until then (lib/wake.py)."
    )
    in_tokens = fields.Float(
        aggregator=None,
        help="Inbound messages that may come now (lib/inbound_rate.py).",
    )
    in_tokens_at = fields.Datetime(help="When that was counted.")
    in_granted = fields.Integer(
        aggregator=None, help="How many the last process was granted."
    )

    out_until = fields.Datetime(help="The same promise of an outbound drain.")

    _backend_unique = models.UniqueIndex("(backend_id)")
