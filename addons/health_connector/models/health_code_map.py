"""Translation of code sets."""

from odoo import api, fields, models


class HealthCodeMap(models.Model):
    """A named translation from a partner's codes to ours."""

    _name = "health.code.map"
    _description = "Code map"
    _order = "name"

    name = fields.Char(required=True, help="Name that map lines refer to.")
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    owner_id = fields.Many2one("res.users", default=lambda self: self.env.user)
    description = fields.Text()
    line_ids = fields.One2many("health.code.map.line", "code_map_id")

    _name_unique = models.Constraint(
        "UNIQUE (company_id, name)", "The company has a code map of this name."
    )

    @api.model
    def _translate(self, company, wanted):
        """Translate many codes with one query. Of several lines that hold today the
        one that came into effect last decides.

        :param wanted: iterable of (code map name, source code)
        :return: {(code map name, source code): target code}; missing ones are left out
        """
        pairs = set(wanted)
        if not pairs:
            return {}
        self.flush_model()
        self.env["health.code.map.line"].flush_model()
        self.env.cr.execute(
            """SELECT m.name, l.source, l.target
                 FROM health_code_map m
                 JOIN health_code_map_line l ON l.code_map_id = m.id
                WHERE m.company_id = %s AND (m.name, l.source) IN %s
                  AND (l.valid_from IS NULL OR l.valid_from <= CURRENT_DATE)
                  AND (l.valid_to IS NULL OR l.valid_to >= CURRENT_DATE)
             ORDER BY l.valid_from NULLS FIRST, l.id""",
            [company.id, tuple(pairs)],
        )
        return {(name, code): target for name, code, target in self.env.cr.fetchall()}


class HealthCodeMapLine(models.Model):
    """One code and its translation, with the dates between which it holds."""

    _name = "health.code.map.line"
    _description = "Code map line"
    _order = "source"
    _rec_name = "source"

    code_map_id = fields.Many2one("health.code.map", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="code_map_id.company_id", store=True)
    source = fields.Char(required=True, help="The partner's code.")
    target = fields.Char(required=True, help="Our code.")
    label = fields.Char()
    valid_from = fields.Date()
    valid_to = fields.Date()

    _source_idx = models.Index("(code_map_id, source)")
