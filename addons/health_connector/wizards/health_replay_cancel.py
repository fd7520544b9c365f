"""Stop a replay for good, with a reason."""

from odoo import api, fields, models


class HealthReplayCancel(models.TransientModel):
    """Asks for the reason; opened from a replay."""

    _name = "health.replay.cancel"
    _description = "Cancel a replay"

    replay_id = fields.Many2one(
        "health.replay",
        required=True,
        readonly=True,
        default=lambda self: self.env.context.get("active_id"),
    )
    open_count = fields.Integer(compute="_compute_open_count")
    reason = fields.Char(required=True)

    @api.depends("replay_id")
    def _compute_open_count(self):
        for wizard in self:
            replay = wizard.replay_id
            wizard.open_count = replay.open_count + replay.behind + replay.failed

    def action_cancel(self):
        """Cancel the replay and what it has handed over and is not yet applied."""
        self.ensure_one()
        self.replay_id._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
