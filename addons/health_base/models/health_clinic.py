from odoo import fields, models

from odoo.addons.base.models.res_partner import _tz_get


class HealthClinic(models.Model):
    """A site of a company where people are seen."""

    _name = "health.clinic"
    _description = "Clinic"
    _order = "company_id, name, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    code = fields.Char(
        required=True,
        help="Short name of the clinic inside its company, unique there. Partner "
        "systems' own codes for it are mapped on the integration.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Address",
        check_company=True,
        index="btree_not_null",
        help="Contact that holds the postal address, phone and email of the clinic.",
    )
    tz = fields.Selection(
        _tz_get,
        string="Time Zone",
        required=True,
        default=lambda self: self.env.user.tz or "UTC",
        help="Local times sent without an offset by systems of this clinic are read "
        "in this zone.",
    )
    active = fields.Boolean(default=True)
    department_ids = fields.One2many(
        "health.department", "clinic_id", string="Departments"
    )
    patient_count = fields.Integer(compute="_compute_patient_count")

    _code_uniq = models.Constraint(
        "UNIQUE (company_id, code)",
        "Another clinic of this company has this code. Archived clinics keep theirs.",
    )

    def _compute_patient_count(self):
        counts = dict(
            self.env["res.partner"]._read_group(
                [("clinic_id", "in", self.ids), ("is_patient", "=", True)],
                ["clinic_id"],
                ["__count"],
            )
        )
        for clinic in self:
            clinic.patient_count = counts.get(clinic, 0)

    def action_open_patients(self):
        """Open the patients whose home clinic this is."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_base.action_patients"
        )
        action["domain"] = [("is_patient", "=", True), ("clinic_id", "=", self.id)]
        action["context"] = {"default_is_patient": True, "default_clinic_id": self.id}
        return action
