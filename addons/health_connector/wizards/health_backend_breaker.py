"""Open or close the breaker of a backend by hand, with a reason."""

from odoo import fields, models


class HealthBackendBreaker(models.TransientModel):
    """Asks for the reason; opened from a backend."""

    _name = "health.backend.breaker"
    _description = "Switch a breaker"

    backend_id = fields.Many2one("health.backend", required=True)
    target = fields.Selection(
        [("open", "Open: no calls until somebody closes it"), ("closed", "Close")],
        string="Breaker",
        required=True,
        default="closed",
    )
    reason = fields.Char(required=True)

    def action_switch(self):
        """Switch."""
        self.ensure_one()
        self.backend_id._switch_breaker(self.target, self.reason)
        return {"type": "ir.actions.act_window_close"}
