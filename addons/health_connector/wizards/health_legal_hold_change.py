"""Set or lift a legal hold, with a reason."""

from odoo import fields, models

from ..models.health_legal_hold import TARGETS


class HealthLegalHoldChange(models.TransientModel):
    """Opened from messages, an interface or a backend."""

    _name = "health.legal.hold.change"
    _description = "Change a legal hold"

    is_set = fields.Selection(
        [("set", "Set the hold"), ("lift", "Lift the hold")],
        string="What",
        required=True,
        default="set",
    )
    reason = fields.Char(required=True)
    count = fields.Integer(
        default=lambda self: len(self.env.context.get("active_ids") or []),
        readonly=True,
    )

    def action_change(self):
        """Change the hold of all that was chosen, or of none."""
        self.ensure_one()
        model = self.env.context.get("active_model")
        hold = self.env["health.legal.hold"]
        records = self.env[model if model in TARGETS else TARGETS[-1]].browse(
            self.env.context.get("active_ids") or []
        )
        hold._change(records, self.is_set == "set", self.reason)
        return {"type": "ir.actions.act_window_close"}
