"""Calls left in doubt: a person finds out and says so."""

from odoo import fields, models
from odoo.exceptions import UserError

from ..lib import states


class HealthMessage(models.Model):
    # beginning and settling a call are two concerns, a file for each
    _inherit = "health.message"  # pylint: disable=consider-merging-classes-inherited

    def _settle(self, arrived, reason):
        """A person has asked the partner what became of calls in doubt.

        :param arrived: True: the partner has them, they are done. False: it has not,
            they are sent again, the same bytes with the same key
        :param reason: the person's words; kept with the attempt and on the message
        """
        self._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say how you know."))
        if not self or any(each.state != states.UNKNOWN for each in self):
            raise UserError(self.env._("Only calls in doubt can be settled."))
        now = fields.Datetime.now()
        row = {"reason": reason, "error_class": None, "error_code": None}
        if not arrived:
            row |= {"next_try_at": now, "tries": 0, "intent_at": None}
            row["failing_since"] = None
        for message in self:
            code = "arrived" if arrived else "send_again"
            self.env["health.delivery"].sudo()._attempted(
                message.id, message.tries, "person", code, f"outbound.{code}", 0.0
            )
        target = states.DONE if arrived else states.WAITING
        self._transition(target, {message.id: row for message in self})
        self.exception_id.sudo()._close_when_clear()
        self._release_behind()

    def action_settle(self):
        """Ask whether these calls in doubt have arrived, and how one knows."""
        self._check_operator()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_settle_action"
        )
        return dict(action, context={"default_message_ids": self.ids})
