"""Revert: the effect of a message undone by its handler, or refused with a reason."""

import json

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib import states
from ..lib.errors import CONFLICT, REJECTED, HealthError
from .health_rehearsal import rolled_back
from .work import DATABASE_CONFLICTS

# served by health_message_order_key_idx
_AT_WORK = f"""
SELECT count(*) FROM health_message o
  JOIN health_message m ON m.backend_id = o.backend_id AND m.order_key = o.order_key
 WHERE m.id = %s AND o.id <> m.id AND o.order_key IS NOT NULL
   AND o.state IN {states.sql_list(states.OPEN)}
"""


class HealthRevert(models.AbstractModel):
    """Undoes done messages. No fields, nothing over RPC."""

    _name = "health.revert"
    _description = "Revert"

    @api.model
    def _preview(self, message):
        """What reverting would change, found out in a transaction that is rolled back.

        :return: (lines for staff, why it is refused); one of both is empty
        """
        try:
            with rolled_back(self.env) as env:
                lines = env["health.revert"]._undo(message.id, "_revert_preview")
                return lines, ""
        except HealthError as error:
            return [], self._say(error, message)
        except DATABASE_CONFLICTS:
            return [], self.env._("Others are at work on the same records right now.")

    @api.model
    def _revert(self, message, reason):
        """Undo, note it and move the message, all in the caller's transaction. A newer
        message that is applied at the same moment makes one of both transactions run
        again; this one is then refused.

        :raises UserError: with the reason of a refusal, in words for staff
        """
        message._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the message is reverted."))
        message.ensure_one()
        try:
            with self.env.cr.savepoint():
                self.sudo()._undo(message.id, "_revert")
                self._note(message, reason)
        except HealthError as error:
            raise UserError(self._say(error, message)) from error

    @api.model
    def _undo(self, message_id, method):
        """Lock, check, and let the handler act; its answer comes back."""
        message = self.env["health.message"].browse(message_id)
        self.env.cr.execute(
            "SELECT state FROM health_message WHERE id = %s FOR UPDATE", [message_id]
        )
        message.invalidate_recordset()
        if message.state != states.DONE or message.is_shadow:
            raise HealthError("revert.not_done", REJECTED)
        if message.direction != "in":
            raise HealthError("revert.outbound", REJECTED)
        self.env.cr.execute(_AT_WORK, [message_id])
        if self.env.cr.fetchone()[0]:
            raise HealthError("revert.key_at_work", CONFLICT)
        interface = message.interface_id
        handler = self.env["health.pipeline"]._handler(interface)
        try:
            result = getattr(handler, method)(message)
        except NotImplementedError:
            raise HealthError("revert.not_offered", REJECTED) from None
        self.env.flush_all()
        return result

    @api.model
    def _note(self, message, reason):
        """The state and the evidence: who, why; no content."""
        message._transition(states.REVERTED, {message.id: {"reason": reason}})
        self.env["health.attempt"]._append(
            [
                {
                    "message_id": message.id,
                    "number": message.tries,
                    "step": "revert",
                    "started_at": fields.Datetime.now(),
                    "outcome": states.REVERTED,
                    "params": json.dumps({"user": self.env.uid, "reason": reason}),
                }
            ]
        )

    @api.model
    def _say(self, error, message):
        """A refusal in the words of its playbook."""
        book = self.env["health.playbook"].sudo()._for(error.code, error.error_class)
        values = {
            **error.params,
            **error.subject,
            "interface": message.interface_id.name,
            "backend": message.backend_id.name,
        }
        parts = [
            book._render(field, values)
            for field in ("title", "explanation", "next_step")
        ]
        return "\n".join(part for part in parts if part) or error.code
