"""The handler of outbound interfaces that pass accepted messages on."""

from odoo import api, models

from ..lib.errors import CONTRACT, HealthError


class HealthHandlerForward(models.AbstractModel):
    """What a route brings is sent with the bytes it was accepted with: the way to keep
    an old system fed while a new flow takes over. Nothing is built of records."""

    _name = "health.handler.forward"
    _inherit = "health.handler"
    _description = "Forward as received"
    _handler = "core.forward"

    @api.model
    def _build(self, record, interface):
        raise HealthError("outbound.forward_only", CONTRACT)
