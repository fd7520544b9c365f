"""Undo what a message did, with a preview and a reason."""

from odoo import api, fields, models

from ..models.implied import ImpliedMany2one


class HealthMessageRevert(models.TransientModel):
    """Shows what would change, or why nothing may; opened from a message."""

    _name = "health.message.revert"
    _description = "Revert a message"

    message_id = ImpliedMany2one(
        "health.message",
        required=True,
        readonly=True,
        default=lambda self: self.env.context.get("active_id"),
    )
    reason = fields.Char()
    preview = fields.Text(compute="_compute_preview", string="What will change")
    refusal = fields.Text(compute="_compute_preview", string="Why not")

    @api.depends("message_id")
    def _compute_preview(self):
        for wizard in self:
            wizard.message_id._check_operator()
            lines, wizard.refusal = self.env["health.revert"]._preview(
                wizard.message_id
            )
            wizard.preview = "\n".join(lines)

    def action_revert(self):
        """Undo it, unless something has come in between."""
        self.ensure_one()
        self.env["health.revert"]._revert(self.message_id, self.reason)
        return {"type": "ir.actions.act_window_close"}
