from odoo import fields, models


class HealthBenchBare(models.Model):
    """One row per request, as plain as can be."""

    _name = "health.bench.bare"
    _description = "Bench row"
    _log_access = False
    _company_rule_exempt = "exists in benchmarks only"

    body = fields.Text()
