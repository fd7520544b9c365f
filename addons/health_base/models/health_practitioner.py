from odoo import api, fields, models


class HealthPractitioner(models.Model):
    """A person who provides care in one company; the person is a contact."""

    _name = "health.practitioner"
    _description = "Practitioner"
    _order = "name, id"
    _check_company_auto = True

    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        help="Left empty, a contact with the practitioner's name is created.",
    )
    name = fields.Char(
        related="partner_id.name", store=True, readonly=False, index="trigram"
    )
    email = fields.Char(related="partner_id.email", readonly=False)
    phone = fields.Char(related="partner_id.phone", readonly=False)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    clinic_ids = fields.Many2many(
        "health.clinic",
        string="Clinics",
        check_company=True,
        # An archived clinic still counts: the form must not read "all clinics".
        context={"active_test": False},
        help="Where the practitioner works. Empty: in all clinics of the company.",
    )
    identifier_ids = fields.One2many(
        related="partner_id.identifier_ids", readonly=False
    )
    specialty = fields.Char()
    active = fields.Boolean(default=True)

    _partner_uniq = models.Constraint(
        "UNIQUE (company_id, partner_id)",
        "This contact is a practitioner of this company already (maybe archived).",
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Create the contact too where only a name was given."""
        nameless = [vals for vals in vals_list if not vals.get("partner_id")]
        partners = self.env["res.partner"].create(
            [{"name": vals.get("name")} for vals in nameless]
        )
        for vals, partner in zip(nameless, partners, strict=True):
            vals["partner_id"] = partner.id
        return super().create(vals_list)
