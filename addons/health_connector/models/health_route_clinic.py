"""How one clinic takes part in a route."""

from odoo import fields, models

from .health_route import MODES


class HealthRouteClinic(models.Model):
    """Moves one clinic at a time from one flow to another."""

    _name = "health.route.clinic"
    _inherit = "health.route.part"
    _description = "Route mode of a clinic"
    _order = "route_id, id"
    _rec_name = "clinic_id"

    route_id = fields.Many2one("health.route", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="route_id.company_id", store=True)
    clinic_id = fields.Many2one(
        "health.clinic",
        required=True,
        ondelete="cascade",
        domain="[('company_id', '=', company_id)]",
    )
    mode = fields.Selection(MODES, required=True, default="shadow")

    _clinic_unique = models.Constraint(
        "UNIQUE (route_id, clinic_id)", "The clinic has a mode on this route already."
    )

    def _routed_entries(self):
        return self.route_id.entry_id
