"""How far retention has come, per interface and stage."""

from odoo import api, fields, models

_FIND = """
SELECT reached_at, reached_id FROM health_retention_floor
 WHERE interface_id = %s AND stage = %s FOR UPDATE
"""

_MOVE = """
INSERT INTO health_retention_floor (interface_id, stage, reached_at, reached_id)
VALUES (%s, %s, %s, %s)
ON CONFLICT (interface_id, stage)
DO UPDATE SET reached_at = EXCLUDED.reached_at, reached_id = EXCLUDED.reached_id
"""


class HealthRetentionFloor(models.Model):
    """Up to this message, in the order of acceptance, a stage is deleted, but for
    what stands in ``health.retention.later``. It saves walking over all the messages
    that are kept longer than their content."""

    _name = "health.retention.floor"
    _description = "Progress of retention"
    _log_access = False
    _rec_name = "stage"

    interface_id = fields.Many2one(
        "health.interface", required=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="interface_id.company_id")
    stage = fields.Char(required=True)
    reached_at = fields.Datetime(required=True)
    reached_id = fields.Integer(required=True)

    _stage_unique = models.UniqueIndex("(interface_id, stage)")

    @api.model
    def _find(self, interface, stage):
        """The position as (time, message id)."""
        self.env.cr.execute(_FIND, [interface.id, stage])
        return self.env.cr.fetchone() or ("-infinity", 0)

    @api.model
    def _move(self, interface, stage, position):
        self.env.cr.execute(_MOVE, [interface.id, stage, *position])
