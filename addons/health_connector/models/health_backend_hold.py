"""A legal hold on all of a backend."""

from odoo import fields, models


class HealthBackend(models.Model):
    """Holds what its interfaces exchanged."""

    _inherit = "health.backend"

    legal_hold = fields.Boolean(
        readonly=True,
        copy=False,
        help="Nothing of this backend is deleted until the hold is lifted.",
    )

    def write(self, vals):
        """A hold is set and lifted with a reason only, by its wizard."""
        self.env["health.legal.hold"]._refuse_plain_write(vals)
        return super().write(vals)
