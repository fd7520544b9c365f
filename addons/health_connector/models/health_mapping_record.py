"""Mappings that read records: of which model, and whether their paths hold."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import record_path


class HealthMapping(models.Model):
    _inherit = "health.mapping"

    model_id = fields.Many2one(
        "ir.model",
        string="Of model",
        ondelete="cascade",
        domain=[("transient", "=", False), ("abstract", "=", False)],
        help="The records that are sent. Sources are then field paths, for example "
        "partner_id.name or order_line[].product_id.default_code.",
    )
    model_name = fields.Char(related="model_id.model", string="Model name")

    @api.constrains("line_ids", "codec", "model_id")
    def _check_paths(self):
        for mapping in self.filtered(lambda each: each.codec == "record"):
            if not mapping.model_id:
                raise ValidationError(
                    self.env._("Choose the model whose records %s reads.", mapping.name)
                )
            mapping._check_readable(self.env[mapping.model_name])
            for line in mapping.line_ids.filtered("source"):
                mapping._check_path(line)

    def _check_path(self, line):
        """Follow the path of a line from the model its list stands for."""
        is_list = line.target.endswith("[]")
        for start in self._nodes(line.target):
            for steps in self._split(line):
                self._walk(line, start, steps, is_list)

    def _split(self, line):
        try:
            return record_path.split(line.source or "")
        except record_path.PathError:
            self._refuse(line, self.env._("it is no field path"))

    def _nodes(self, target):
        """The models a target's source is relative to: that of the innermost list it
        lies in, or of the mapping."""
        prefix, marker, _rest = target.removesuffix("[]").rpartition("[].")
        if not marker:
            return [self.env[self.model_name]]
        owner = self.line_ids.filtered(lambda each: each.target == f"{prefix}[]")
        return [
            self._walk(owner, start, steps, True)
            for start in self._nodes(f"{prefix}[]")
            for steps in self._split(owner)
        ]

    def _walk(self, line, model, steps, is_list):
        """The model a path leads to.

        :raises ValidationError: a step is not a field that may be sent
        """
        for position, (name, many) in enumerate(steps, 1):
            field = self._field_of(line, model, name)
            goes_on = is_list or position < len(steps)
            several = field.type in ("one2many", "many2many")
            if goes_on and not field.comodel_name:
                self._refuse(line, self.env._("%s leads to no record", name))
            if goes_on and not many and (several or position == len(steps)):
                self._refuse(
                    line, self.env._("for each of its records write %s[]", name)
                )
            if not goes_on and (many or field.type in record_path.UNFIT):
                self._refuse(
                    line, self.env._("%s is no value, name one of its fields", name)
                )
            if goes_on:
                model = self.env[field.comodel_name]
                self._check_readable(model)
        return model

    def _field_of(self, line, model, name):
        field = model._fields.get(name)
        if field is None:
            self._refuse(line, self.env._("there is no field %s", name))
        if field.groups:
            # what not every reader of the record may see does not leave either
            self._refuse(line, self.env._("field %s is restricted to groups", name))
        return field

    def _check_readable(self, model):
        """Whoever writes a mapping lets out no more than they may read. (Constraints
        run with all rights, so the rights asked for are the user's own.)"""
        if not model.with_user(self.env.user).has_access("read"):
            raise ValidationError(
                self.env._(
                    "You may not read %s, so a mapping of yours may not either.",
                    model._description,
                )
            )

    def _refuse(self, line, reason):
        raise ValidationError(
            self.env._(
                "Map line %(target)s: %(path)s cannot be read: %(reason)s.",
                target=line.target,
                path=line.source,
                reason=reason,
            )
        )
