from odoo import api, fields, models
from odoo.fields import Domain

from ..exceptions import HealthUserError

HEALTH_GROUPS = "health_base.group_user,health_base.group_operator"
EXACT_OPERATORS = ("=", "in", "ilike")


class ResPartner(models.Model):
    _inherit = "res.partner"

    is_patient = fields.Boolean(string="Patient")
    birth_date = fields.Date(groups=HEALTH_GROUPS)
    clinic_id = fields.Many2one(
        "health.clinic",
        string="Home Clinic",
        compute="_compute_clinic_id",
        store=True,
        readonly=False,
        precompute=True,
        recursive=True,
        index="btree_not_null",
        help="Users who are limited to some clinics see the patients of those only. "
        "A patient without a home clinic is seen in all of them.",
    )
    identifier_ids = fields.One2many(
        "health.identifier",
        "partner_id",
        string="Identifiers",
        groups=HEALTH_GROUPS,
    )
    health_identifier = fields.Char(
        string="Identifier",
        compute="_compute_health_identifier",
        search="_search_health_identifier",
        groups=HEALTH_GROUPS,
        help="The medical record number, or else the first other identifier. "
        "Searching finds the person with exactly this identifier of any authority.",
    )

    @api.depends("is_patient", "parent_id.is_patient", "parent_id.clinic_id")
    def _compute_clinic_id(self):
        """Addresses of a patient follow the patient; a new one is the user's own."""
        for partner in self:
            if not partner.is_patient and partner.parent_id.is_patient:
                partner.clinic_id = partner.parent_id.clinic_id
            elif partner.is_patient and not partner.clinic_id:
                clinics = self.env.user.sudo().clinic_ids
                partner.clinic_id = clinics.filtered("active")[:1]
            else:
                partner.clinic_id = partner.clinic_id

    @api.onchange("clinic_id")
    def _onchange_clinic_id(self):
        """A patient being registered is taken to live where the clinic is."""
        if self.is_patient and self.clinic_id and not self._origin:
            self.tz = self.clinic_id.tz

    @api.depends("identifier_ids.value", "identifier_ids.type", "identifier_ids.active")
    def _compute_health_identifier(self):
        for partner in self:
            identifiers = partner.identifier_ids.filtered("active")
            main = identifiers.filtered(lambda i: i.type == "MR") or identifiers
            partner.health_identifier = main[:1].value

    @api.model
    def _search_health_identifier(self, operator, value):
        """Exact whatever the operator: a keyed hash knows no part of a number."""
        # Odoo does not check the groups of a field that is searched by a method.
        self._check_field_access(self._fields["health_identifier"], "read")
        values = [value] if isinstance(value, str) else list(value or [False])
        if operator not in EXACT_OPERATORS or not all(values):
            return NotImplemented
        holders = self.env["health.identifier"]._holders(self.env.companies, values)
        return Domain("id", "in", holders)

    @api.constrains("birth_date")
    def _check_birth_date(self):
        today = fields.Date.context_today(self)
        if any(p.birth_date and p.birth_date > today for p in self):
            raise HealthUserError(
                self.env._("The birth date lies in the future. Correct it."),
                "patient.birth_date",
                "rejected",
            )

    @api.constrains("company_id", "clinic_id")
    def _check_clinic_company(self):
        """A contact of one company has its home there; most are of no company."""
        for partner in self.filtered("company_id"):
            clinic = partner.sudo().clinic_id
            if clinic and clinic.company_id != partner.company_id:
                raise HealthUserError(
                    self.env._(
                        "The home clinic belongs to another company than the patient. "
                        "Choose a clinic of the patient's company."
                    ),
                    "patient.clinic_company",
                    "rejected",
                )

    @api.model
    def _health_find_by_identifier(self, company, system, type, value):
        """The person who has this identifier in ``company``, or an empty record set.

        :param company: ``res.company`` record
        :param system: assigning authority (namespace id, OID or URI)
        :param type: HL7 table 0203 code, e.g. ``"MR"``
        :param value: the identifier as received

        One query. Ask :meth:`health.identifier._lookup` when there are several.
        There is no look-up by name and birth date: two people share them.
        """
        wanted = (system, type, value)
        found = self.env["health.identifier"]._lookup(company, [wanted])
        return found.get(wanted, self.browse())
