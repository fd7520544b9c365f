"""What retention passed by, because it could not be deleted yet."""

from odoo import fields, models

from .implied import ImpliedMany2one


class HealthRetentionLater(models.Model):
    """A stage of a message that was old enough, but open, on hold or needed by a copy.
    Looked at again in every run."""

    _name = "health.retention.later"
    _description = "Left by retention"
    _log_access = False
    _rec_name = "stage"

    interface_id = fields.Many2one(
        "health.interface", required=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="interface_id.company_id")
    message_id = ImpliedMany2one("health.message", required=True)
    stage = fields.Char(required=True)

    _unique = models.UniqueIndex("(interface_id, stage, message_id)")
    # when the message leaves
    _message_idx = models.Index("(message_id)")
