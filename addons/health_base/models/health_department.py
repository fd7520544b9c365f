from odoo import fields, models


class HealthDepartment(models.Model):
    """A unit of a clinic: its laboratory, reception, imaging."""

    _name = "health.department"
    _description = "Department"
    _order = "clinic_id, name, id"

    name = fields.Char(required=True)
    code = fields.Char(
        required=True, help="Short name inside the clinic, unique there."
    )
    clinic_id = fields.Many2one(
        "health.clinic", required=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="clinic_id.company_id", store=True, index=True, precompute=True
    )
    active = fields.Boolean(default=True)

    _code_uniq = models.Constraint(
        "UNIQUE (clinic_id, code)",
        "Another department of this clinic has this code. "
        "Archived departments keep theirs.",
    )
