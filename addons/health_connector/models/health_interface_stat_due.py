"""Hours of the roll-up that are to be counted again."""

from odoo import fields, models


class HealthInterfaceStatDue(models.Model):
    """A mark: this hour of this interface has changed. Rows live for minutes."""

    _name = "health.interface.stat.due"
    _description = "Hour to be counted"
    _log_access = False
    _rec_name = "hour"

    interface_id = fields.Many2one(
        "health.interface", required=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="interface_id.company_id")
    hour = fields.Datetime(required=True)

    _hour_unique = models.UniqueIndex("(interface_id, hour)")
