"""Rows that are written once."""

from odoo import api, models
from odoo.exceptions import UserError


class HealthEvidence(models.AbstractModel):
    """Mixin of models whose rows nobody edits or deletes: they are inserted by SQL,
    and leave by retention or with the addon."""

    _name = "health.evidence"
    _description = "Evidence"

    def write(self, vals):  # pylint: disable=method-required-super
        """Refuse, for every caller."""
        raise UserError(self.env._("This is evidence and cannot be edited."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_never(self):
        raise UserError(self.env._("This is evidence and cannot be deleted."))
