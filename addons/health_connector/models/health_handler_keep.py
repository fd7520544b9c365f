"""The handler that only keeps: for flows whose business end is not built yet."""

from odoo import api, models

from .health_handler import Outcome


class HealthHandlerKeep(models.AbstractModel):
    """Messages are accepted, stored, mapped and checked, and change nothing.

    The first handler of a new interface: traffic can be looked at and a mapping
    proved on it before a business handler takes over.
    """

    _name = "health.handler.keep"
    _inherit = "health.handler"
    _description = "Keep only"
    _handler = "core.keep"

    @api.model
    def _apply(self, document, exchange):
        return Outcome()

    @api.model
    def _revert(self, message):
        """There is no effect to undo."""
