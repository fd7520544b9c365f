"""The handler that sends what a mapping reads of a record."""

from odoo import api, models
from odoo.exceptions import ValidationError

from ..lib.errors import BUG, HealthError
from ..lib.mapping import resolve
from .health_handler import Outcome


class HealthHandlerRecord(models.AbstractModel):
    """Outbound: any model, by a mapping of field paths. What is not in the mapping, or
    not of a data class the interface allows, does not leave. Inbound it only keeps."""

    _name = "health.handler.record"
    _inherit = "health.handler"
    _description = "Records by mapping"
    _handler = "core.record"

    @api.model
    def _build(self, record, interface):
        if record._name != interface.mapping_id.model_name:
            raise HealthError("outbound.model", BUG, {"interface": interface.id})
        interface = interface.with_env(self.env)
        result = interface._mapper()(record.with_env(self.env))
        wanted = [(each.code_map, each.value) for each in result.lookups]
        table = self.env["health.code.map"]._translate(interface.company_id, wanted)
        resolve(result.lookups, table)
        return result.document

    @api.model
    def _apply(self, document, exchange):
        return Outcome()

    @api.model
    def _revert(self, message):
        """There is no effect to undo."""

    @api.model
    def _check_outbound(self, interface):
        mapping = interface.mapping_id
        if mapping.codec != "record" and (mapping or interface.state == "live"):
            raise ValidationError(
                self.env._(
                    "Interface %s sends records: choose a mapping of codec Odoo "
                    "records that says which fields leave.",
                    interface.code,
                )
            )
