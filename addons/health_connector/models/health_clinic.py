from odoo import models


class HealthClinic(models.Model):
    _inherit = "health.clinic"

    def write(self, vals):
        """Routing tables hold the codes of clinics."""
        done = super().write(vals)
        if "code" in vals:
            lines = self.env["health.route.clinic"].sudo()
            lines.search(
                [("clinic_id", "in", self.ids)]
            ).route_id.entry_id._refresh_routes()
        return done
