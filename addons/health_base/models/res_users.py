from odoo import fields, models


class ResUsers(models.Model):
    _inherit = "res.users"

    clinic_ids = fields.Many2many(
        "health.clinic",
        "health_clinic_users_rel",
        "user_id",
        "clinic_id",
        string="Clinics",
        groups="base.group_erp_manager",
        # Archiving a user's only clinic must not open all the others to them.
        context={"active_test": False},
        help="The user sees patients, practitioners and departments of these clinics "
        "only. Empty: of all clinics of the user's companies.",
    )

    def _get_invalidation_fields(self):
        # Record rules read the clinics and are cached per user.
        return super()._get_invalidation_fields() | {"clinic_ids"}
