"""Close messages that nobody will apply, with a reason."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..lib import states

_CANCELLABLE = Domain("state", "in", states.origins(states.CANCELLED))


class HealthMessageCancel(models.TransientModel):
    """Asks for the reason; opened from messages or from an exception. Holds a search,
    not a list of messages: it may stand for any number of them."""

    _name = "health.message.cancel"
    _description = "Cancel messages"

    domain = fields.Char(
        required=True,
        readonly=True,
        default=lambda self: str(self.env["health.choice"]._domain()),
    )
    bound_id = fields.Integer(
        required=True, readonly=True, default=lambda self: self._default_bound()
    )
    count = fields.Integer(string="Messages", compute="_compute_count")
    reason = fields.Char(required=True)

    @api.model
    def _default_bound(self):
        """Messages accepted later are not what the person saw."""
        return self.env["health.message"].search([], order="id desc", limit=1).id

    def _messages_domain(self):
        domain = self.env["health.choice"]._parse(self.domain)
        return domain & Domain("id", "<=", self.bound_id) & _CANCELLABLE

    @api.depends("domain", "bound_id")
    def _compute_count(self):
        for wizard in self:
            domain = wizard._messages_domain()
            wizard.count = self.env["health.message"].search_count(domain)

    def action_cancel(self):
        """Cancel all of the chosen messages that are still open."""
        self.ensure_one()
        messages = self.env["health.message"].search(self._messages_domain())
        if not messages:
            raise UserError(self.env._("None of these messages is open any more."))
        messages._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
