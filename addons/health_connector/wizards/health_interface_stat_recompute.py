"""Have hours of the statistics counted again."""

from datetime import timedelta

from odoo import fields, models


class HealthInterfaceStatRecompute(models.TransientModel):
    """Asks from when on; the cron counts."""

    _name = "health.interface.stat.recompute"
    _description = "Count statistics again"

    start = fields.Datetime(
        string="From",
        required=True,
        default=lambda self: fields.Datetime.now() - timedelta(days=1),
    )

    def action_recompute(self):
        """Hand the moment to the roll-up, which starts at once."""
        self.ensure_one()
        self.env["health.interface.stat"]._recompute_from(self.start)
        return {"type": "ir.actions.act_window_close"}
