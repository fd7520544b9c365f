"""How far the roll-up has looked."""

from odoo import api, fields, models


class HealthInterfaceStatMark(models.Model):
    """One row: every change before ``seen_until`` has marked its hour."""

    _name = "health.interface.stat.mark"
    _description = "Watermark of the roll-up"
    _log_access = False
    _rec_name = "seen_until"
    _company_rule_exempt = "one time for the whole database; nothing of a company"

    seen_until = fields.Datetime()

    _only = models.UniqueIndex("((true))")

    @api.model
    def _move(self, horizon):
        """Move the watermark; two at once conflict, and one is refused.

        :return: where it stood, or None the first time
        """
        self.env.cr.execute(
            """SELECT seen_until FROM health_interface_stat_mark FOR UPDATE"""
        )
        row = self.env.cr.fetchone()
        self.env.cr.execute(
            """INSERT INTO health_interface_stat_mark (seen_until) VALUES (%s)
               ON CONFLICT ((true)) DO UPDATE SET seen_until = EXCLUDED.seen_until""",
            [horizon],
        )
        return row and row[0]

    @api.model
    def _move_back(self, moment):
        """Let the next run look at everything since ``moment`` again."""
        self.env.cr.execute(
            """UPDATE health_interface_stat_mark
                  SET seen_until = LEAST(seen_until, %s)""",
            [moment],
        )
