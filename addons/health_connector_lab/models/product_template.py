from odoo import fields, models


class ProductTemplate(models.Model):
    _inherit = "product.template"

    lab_test_code = fields.Char(
        index="btree_not_null",
        help="Code by which laboratories know this test, LOINC where there is one, "
        "for example 58410-2.",
    )
