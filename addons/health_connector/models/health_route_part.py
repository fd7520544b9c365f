"""What routing is made of keeps the table that doors read."""

from odoo import api, models


class HealthRoutePart(models.AbstractModel):
    """Mixin of routes and their lines: any change is told to the entry interface."""

    _name = "health.route.part"
    _description = "Part of the routing"

    def _routed_entries(self):
        """The interfaces whose doors this decides for."""
        raise NotImplementedError

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts._routed_entries()._refresh_routes()
        return parts

    def write(self, vals):
        entries = self._routed_entries()
        done = super().write(vals)
        (entries | self._routed_entries())._refresh_routes()
        return done

    def unlink(self):
        entries = self._routed_entries()
        done = super().unlink()
        entries.exists()._refresh_routes()
        return done
