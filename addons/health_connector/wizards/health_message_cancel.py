"""Close messages that nobody will apply, with a reason."""

from odoo import api, fields, models


class HealthMessageCancel(models.TransientModel):
    """Asks for the reason; opened from messages or from an exception."""

    _name = "health.message.cancel"
    _description = "Cancel messages"

    message_ids = fields.Many2many(
        "health.message",
        required=True,
        default=lambda self: self._default_messages(),
    )
    count = fields.Integer(string="Messages", compute="_compute_count")
    reason = fields.Char(required=True)

    @api.model
    def _default_messages(self):
        """The chosen messages, or those that the chosen exceptions hold up."""
        model = self.env.context.get("active_model")
        ids = self.env.context.get("active_ids") or []
        if model == "health.message":
            return self.env[model].browse(ids)
        if model == "health.exception":
            return self.env["health.message"].search(
                [("exception_id", "in", ids), ("state", "=", "parked")]
            )
        return self.env["health.message"]

    @api.depends("message_ids")
    def _compute_count(self):
        for wizard in self:
            wizard.count = len(wizard.message_ids)

    def action_cancel(self):
        """Cancel them all, or none when one may not be cancelled any more."""
        self.ensure_one()
        self.message_ids._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
