"""Settle calls in doubt, with a reason."""

from odoo import api, fields, models


class HealthMessageSettle(models.TransientModel):
    """Asks whether the calls have arrived; opened from messages."""

    _name = "health.message.settle"
    _description = "Settle calls in doubt"

    message_ids = fields.Many2many(
        "health.message",
        required=True,
        default=lambda self: self._default_messages(),
    )
    count = fields.Integer(string="Messages", compute="_compute_count")
    reason = fields.Char(required=True)

    @api.model
    def _default_messages(self):
        """Of the chosen messages, or those the chosen exceptions hold, the doubtful."""
        model = self.env.context.get("active_model")
        ids = self.env.context.get("active_ids") or []
        chosen = {"health.message": "id", "health.exception": "exception_id"}
        if model not in chosen:
            return self.env["health.message"]
        return self.env["health.message"].search(
            [(chosen[model], "in", ids), ("state", "=", "unknown")]
        )

    @api.depends("message_ids")
    def _compute_count(self):
        for wizard in self:
            wizard.count = len(wizard.message_ids)

    def action_arrived(self):
        """The partner has them: they are done."""
        self.message_ids._settle(True, self.reason)
        return {"type": "ir.actions.act_window_close"}

    def action_send_again(self):
        """The partner has not: they are sent again with the same key."""
        self.message_ids._settle(False, self.reason)
        return {"type": "ir.actions.act_window_close"}
