"""Mappings: map lines as data, compiled once."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib.errors import HealthError
from ..lib.mapping import Line, compile_lines

DATA_CLASSES = [
    ("administrative", "Administrative"),
    ("identifier", "Identifier"),
    ("demographic", "Demographic"),
    ("contact", "Contact"),
    ("clinical", "Clinical"),
    ("financial", "Financial"),
]


class HealthMapping(models.Model):
    """How the tree of a codec becomes a canonical document."""

    _name = "health.mapping"
    _description = "Mapping"
    _order = "name, version desc"

    name = fields.Char(required=True)
    version = fields.Char(required=True, default="1.0")
    codec = fields.Selection(
        selection=lambda self: self.env["health.plugin"]._names("codec"), required=True
    )
    company_id = fields.Many2one(
        "res.company", help="Empty: the mapping may be used by all companies."
    )
    description = fields.Text()
    line_ids = fields.One2many("health.mapping.line", "mapping_id", copy=True)

    _version_unique = models.Constraint(
        "UNIQUE NULLS NOT DISTINCT (name, version, company_id)",
        "This version of the mapping exists already.",
    )

    @api.constrains("line_ids", "codec")
    def _check_lines(self):
        for mapping in self:
            try:
                mapping._program()
            except HealthError as exc:
                raise ValidationError(
                    self.env._(
                        "Mapping %(mapping)s cannot be compiled: %(code)s at target "
                        "%(target)s. Check the line's target, source and converter.",
                        mapping=mapping.name,
                        code=exc.code,
                        target=exc.params.get("target", "?"),
                    )
                ) from exc

    def _program(self, allowed=None):
        """The compiled program, kept per process and content of the lines.

        :param allowed: frozenset of data classes that may pass; None for all
        """
        self.ensure_one()
        lines = tuple(line._as_line() for line in self.line_ids)
        cache = self.env.registry.__dict__.setdefault("_health_programs", {})
        kept = cache.get((self.id, allowed))
        if kept is None or kept[0] != (self.codec, lines):
            codec = self.env["health.plugin"]._get("codec", self.codec)
            program = compile_lines(lines, codec._compile, codec._converters(), allowed)
            kept = cache[self.id, allowed] = ((self.codec, lines), program)
        return kept[1]


class HealthMappingLine(models.Model):
    """One map line; see ``lib/mapping.py`` for what target and source mean."""

    _name = "health.mapping.line"
    _description = "Map line"
    _order = "sequence, id"
    _rec_name = "target"

    mapping_id = fields.Many2one("health.mapping", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="mapping_id.company_id", store=True)
    sequence = fields.Integer(default=10)
    target = fields.Char(
        required=True,
        help="Place in the canonical document, for example results[].code. A target "
        "that ends in [] opens a list.",
    )
    source = fields.Char(
        help="Where the value stands, in the codec's notation, for example PID-5-1."
    )
    converter = fields.Char(help="Name of a converter, for example upper or date.")
    default = fields.Char(help="Used when the source finds nothing.")
    required = fields.Boolean()
    code_map = fields.Char(help="Name of the code map that translates the value.")
    data_class = fields.Selection(DATA_CLASSES, required=True, default="administrative")
    note = fields.Char()

    def _as_line(self):
        """The pure form of the line."""
        self.ensure_one()
        return Line(
            target=self.target,
            source=self.source or "",
            converter=self.converter or "",
            default=self.default or None,
            required=self.required,
            data_class=self.data_class,
            code_map=self.code_map or "",
        )
