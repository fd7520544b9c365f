"""Hold up the traffic of a backend, with a reason."""

from odoo import fields, models


class HealthBackendPause(models.TransientModel):
    """Asks for direction, reason and end; opened from a backend."""

    _name = "health.backend.pause"
    _description = "Pause a backend"

    backend_id = fields.Many2one("health.backend", required=True)
    direction = fields.Selection(
        [("out", "Outbound"), ("in", "Inbound"), ("both", "Both directions")],
        required=True,
        default="out",
    )
    reason = fields.Char(required=True)
    until = fields.Datetime(help="The pause ends by itself then. Empty: when resumed.")

    def action_pause(self):
        """Pause."""
        self.ensure_one()
        both = self.direction == "both"
        self.backend_id._pause(
            ("in", "out") if both else (self.direction,), self.reason, self.until
        )
        return {"type": "ir.actions.act_window_close"}
