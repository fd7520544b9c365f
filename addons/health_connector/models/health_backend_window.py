"""When a partner is not to be called."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib.window import Once, Weekly

WEEKDAYS = [
    ("0", "Monday"),
    ("1", "Tuesday"),
    ("2", "Wednesday"),
    ("3", "Thursday"),
    ("4", "Friday"),
    ("5", "Saturday"),
    ("6", "Sunday"),
]


class HealthBackendWindow(models.Model):
    """A maintenance window of a partner: every week in the backend's zone, or once.
    Inside, nothing is sent and no try is counted."""

    _name = "health.backend.window"
    _description = "Maintenance window"
    _order = "backend_id, kind desc, weekday, hour_from, at_from"

    backend_id = fields.Many2one(
        "health.backend", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="backend_id.company_id", store=True)
    name = fields.Char(string="Why", help="For example: nightly restart.")
    active = fields.Boolean(default=True)
    kind = fields.Selection(
        [("weekly", "Every week"), ("once", "Once")], required=True, default="weekly"
    )
    weekday = fields.Selection(WEEKDAYS, default="6")
    hour_from = fields.Float(string="From", help="In the backend's time zone.")
    hour_to = fields.Float(
        string="To", help="At or before the start: on the next day. 0 to 0: all day."
    )
    at_from = fields.Datetime(string="Begins")
    at_to = fields.Datetime(string="Ends")
    hold_in = fields.Boolean(
        string="Inbound waits too",
        help="Accepted messages are stored, and applied after the window.",
    )

    @api.constrains("kind", "weekday", "hour_from", "hour_to", "at_from", "at_to")
    def _check_times(self):
        for window in self:
            if window.kind == "weekly":
                hours = (window.hour_from, window.hour_to)
                sound = window.weekday and all(0 <= hour < 24 for hour in hours)
            else:
                sound = window.at_from and window.at_to
                sound = sound and window.at_from < window.at_to
            if not sound:
                raise ValidationError(
                    self.env._(
                        "Give a weekday and hours from 0:00 to 23:59, or a beginning "
                        "and a later end."
                    )
                )

    def _pure(self):
        if self.kind == "once":
            return Once(self.at_from, self.at_to)
        return Weekly(
            int(self.weekday),
            round(self.hour_from * 60) % 1440,
            round(self.hour_to * 60) % 1440,
            self.backend_id.tz,
        )
