"""What to tell staff about a cause: data, so that a connector needs no UI code."""

from odoo import api, fields, models

from .health_error_policy_line import ROLES


class _Values(dict):
    """Placeholders without a value show a dash, lists show their items."""

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if isinstance(value, (list, tuple)):
            return "; ".join(map(str, value))
        return value

    def __missing__(self, key):
        return "–"


class HealthPlaybook(models.Model):
    """Texts of one cause code. ``{order}`` and the like are filled from the
    exception's subject and parameters when it is shown, in the reader's language."""

    _name = "health.playbook"
    _description = "Playbook"
    _order = "code"
    _rec_name = "code"
    _company_rule_exempt = "texts about causes, the same for every company"

    code = fields.Char(
        required=True, help="A cause code, or an error class as the fallback for it."
    )
    title = fields.Char(required=True, translate=True)
    explanation = fields.Text(translate=True)
    next_step = fields.Text(required=True, translate=True, string="What to do")
    role = fields.Selection(ROLES, required=True, default="staff")

    _code_unique = models.Constraint("UNIQUE (code)", "This cause has a playbook.")

    @api.model
    def _for(self, code, error_class):
        """The playbook of a cause: its own, its first word's, or its class's."""
        wanted = [code, code.partition(".")[0], error_class]
        found = {book.code: book for book in self.search([("code", "in", wanted)])}
        for key in wanted:
            if key in found:
                return found[key]
        return self.browse()

    def _render(self, field, values):
        """A text with its placeholders filled; plain text."""
        template = self[field] or ""
        try:
            return template.format_map(_Values(values))
        except (ValueError, IndexError, AttributeError):
            return template
