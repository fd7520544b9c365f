from odoo import fields, models


class HealthBackend(models.Model):
    _inherit = "health.backend"

    mllp_tls = fields.Boolean(
        string="MLLP over TLS",
        help="The partner's certificate must be valid for its host name.",
    )
