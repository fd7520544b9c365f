from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    lab_placer_authority = fields.Char(
        string="Order number authority",
        help="The name under which laboratories know our order numbers (second "
        "component of the placer order number, for example HEALTHGROUP). A result "
        "that names another authority is not matched by its order number. Empty: "
        "any authority is taken.",
    )
