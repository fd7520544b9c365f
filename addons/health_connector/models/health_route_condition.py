"""A test that a message must pass to take a route."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import route


class HealthRouteCondition(models.Model):
    """One field of the message, read at the door."""

    _name = "health.route.condition"
    _inherit = "health.route.part"
    _description = "Route condition"
    _order = "route_id, id"
    _rec_name = "source"

    route_id = fields.Many2one("health.route", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="route_id.company_id", store=True)
    source = fields.Char(
        string="Field",
        required=True,
        help="In the notation of the keys, for example MSH-9-2 or order.kind.",
    )
    operator = fields.Selection(
        [
            ("equals", "equals"),
            ("in", "is one of"),
            ("exists", "is there"),
            ("missing", "is not there"),
        ],
        required=True,
        default="equals",
    )
    values = fields.Char(help="Comma separated for “is one of”.")

    @api.constrains("source", "operator", "values")
    def _check_complete(self):
        for each in self:
            each.route_id.entry_id._check_key_source(each.source)
            if each.operator in ("equals", "in") and not each._value_set():
                raise ValidationError(
                    self.env._("Say which value %s must have.", each.source)
                )

    def _value_set(self):
        text = self.values or ""
        parts = text.split(",") if self.operator == "in" else [text]
        return frozenset(part.strip() for part in parts if part.strip())

    def _pure(self):
        self.ensure_one()
        return route.Condition(self.source, self.operator, self._value_set())

    def _routed_entries(self):
        return self.route_id.entry_id
