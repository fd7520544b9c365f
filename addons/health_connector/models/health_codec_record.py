"""A pseudo codec: records of Odoo as the tree, field paths as sources."""

from odoo import api, models

from ..lib import record_path


class HealthCodecRecord(models.AbstractModel):
    """Tree: a record. Sources: see :mod:`~..lib.record_path`. Nothing is decoded or
    encoded by it; an interface has the codec of what it sends."""

    _name = "health.codec.record"
    _inherit = "health.codec"
    _description = "Odoo records"
    _codec = "record"

    @api.model
    def _compile(self, expression):
        return record_path.compile(expression)
