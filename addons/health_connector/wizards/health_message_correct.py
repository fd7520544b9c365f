"""Edit and replay: a corrected version beside the original, never in clear at rest."""

import json

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..lib import states
from ..lib.edit_text import to_bytes, to_text
from ..lib.errors import HealthError
from ..lib.verdict import FAILED
from ..models.health_rehearsal import rolled_back
from ..models.implied import ImpliedMany2one
from ..models.work import DATABASE_CONFLICTS, describe

_RIGHTS = (
    "health_base.group_operator",
    "health_base.group_content_reader",
    "health_base.group_corrector",
)
_CORRECTABLE = (*states.CLOSED, states.PARKED)


class HealthMessageCorrect(models.TransientModel):
    """A right of its own, on top of reading content; every step leaves evidence.

    The text is a field without a column: it is decoded when it is read, and sealed
    into a column that the ORM does not know as soon as it is saved.
    """

    _name = "health.message.correct"
    _description = "Correct and replay a message"

    message_id = ImpliedMany2one(
        "health.message",
        required=True,
        readonly=True,
        default=lambda self: self.env.context.get("active_id"),
    )
    original_state = fields.Selection(related="message_id.state")
    reason = fields.Char(required=True)
    stage = fields.Selection(
        [("ask", "Asked"), ("edit", "Opened"), ("sent", "Sent")],
        required=True,
        readonly=True,
        default="ask",
    )
    content = fields.Text(
        compute="_compute_content", inverse="_inverse_content", store=False
    )
    preview = fields.Text(readonly=True)

    def init(self):
        self.env.cr.execute(
            """ALTER TABLE health_message_correct
               ADD COLUMN IF NOT EXISTS draft bytea,
               ADD COLUMN IF NOT EXISTS draft_key varchar"""
        )

    # -- rights ---------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Only those with all three rights get as far as asking."""
        self._check_rights()
        return super().create(
            [{**vals, "stage": "ask", "preview": False} for vals in vals_list]
        )

    def write(self, vals):
        """People write the reason before, and the text after it was opened."""
        if not self.env.su:
            self._check_rights()
            if set(vals) - {"reason", "content"} or (
                "reason" in vals and any(each.stage != "ask" for each in self)
            ):
                raise UserError(self.env._("This cannot be changed any more."))
        return super().write(vals)

    @api.model
    def _check_rights(self):
        if not all(self.env.user.has_group(group) for group in _RIGHTS):
            raise AccessError(
                self.env._(
                    "Correcting a message takes three rights: operator, content "
                    "reader and message corrector."
                )
            )

    # -- the text -------------------------------------------------------------------

    def _compute_content(self):
        for wizard in self:
            wizard.content = False
            if wizard.stage == "edit":
                wizard._check_rights()
                wizard.content = wizard._draft() or wizard._original()[0]

    def _inverse_content(self):
        """Seal at once; nothing else ever sees the text."""
        for wizard in self:
            if wizard.stage != "edit":
                continue
            ring = self.env["health.keyring"]._ring()
            key, sealed = ring.seal((wizard.content or "").encode(), wizard._aad())
            self.env.cr.execute(
                "UPDATE health_message_correct SET draft = %s, draft_key = %s "
                "WHERE id = %s",
                [sealed, key, wizard.id],
            )
            # what was previewed is another text
            wizard.sudo().preview = False

    def _draft(self):
        self.env.cr.execute(
            "SELECT draft_key, draft FROM health_message_correct WHERE id = %s",
            [self.id],
        )
        key, sealed = self.env.cr.fetchone()
        if sealed is None:
            return None
        ring = self.env["health.keyring"]._ring()
        return ring.open(key, bytes(sealed), self._aad()).decode()

    def _aad(self):
        return f"{self.message_id.uid}|correction {self.id}".encode()

    def _original(self):
        """(text, line end, Python codec) of the original."""
        (copy,) = self._source()
        try:
            charset = self._codec()._text_charset(copy.data, copy.charset)
            return (*to_text(copy.data, charset), charset)
        except HealthError as error:
            raise UserError(
                self.env._("This content is no plain text and cannot be edited here.")
            ) from error

    def _source(self):
        """The original as a copy to be."""
        copies = self.env["health.replay.copy"]._read(self.message_id.ids)
        if not copies:
            raise UserError(self.env._("The content of this message is gone."))
        return copies

    def _codec(self):
        codec = self.message_id.interface_id.codec
        return self.env["health.plugin"]._get("codec", codec)

    def _corrected(self):
        """The copy with the edited bytes, keyed by what they say."""
        (copy,) = self._source()
        _text, line_end, charset = self._original()
        try:
            data = to_bytes(self._draft() or _text, line_end, charset)
            if data == copy.data:
                raise UserError(self.env._("Nothing has been corrected yet."))
            interface = self.message_id.interface_id.sudo()
            peeked = self._codec()._peek(interface, data, {})
        except UserError:
            raise
        except Exception as exc:  # whatever the edited text runs into
            failure = describe(exc)
            raise UserError(
                self.env._("The corrected text cannot be read: %s", failure.code)
            ) from None
        return copy.corrected(data, copy.charset, self._keys(data, peeked))

    def _keys(self, data, peeked):
        ring = self.env["health.keyring"]._ring()
        key = peeked.get("order_key")
        scope = f"order:{self.message_id.backend_id.id}"
        return {
            "order_key": ring.blind(scope, key) if key else None,
            "content_hash": ring.blind("content", data),
            "message_type": (peeked.get("message_type") or "")[:64],
        }

    # -- what people do ----------------------------------------------------------------

    def action_open(self):
        """Show the text; that it was opened, by whom and why, is written down."""
        self._begin("ask")
        self._original()
        self._note("opened", {})
        self.sudo().stage = "edit"
        return self._show()

    def action_preview(self):
        """Rehearse the corrected version; nothing is kept of it."""
        self._begin("edit")
        copy = self._corrected()
        try:
            with rolled_back(self.env) as env:
                ids = env["health.replay.copy"]._store([copy], "rehearsal")
                verdict = env["health.rehearsal"]._run({ids[0]: None})[ids[0]]
        except DATABASE_CONFLICTS as error:
            raise UserError(
                self.env._("The preview has to wait: others work on these records.")
            ) from error
        self.sudo().preview = self._say(verdict)
        return self._show()

    def action_send(self):
        """Store the corrected version as a message of its own, once. A parked original
        is cancelled: it would be applied besides, and holds back its order key."""
        self._begin("edit")
        if not self.preview:
            raise UserError(self.env._("Preview the corrected version first."))
        copies = self.env["health.replay.copy"]
        (new_id,) = copies._store([self._corrected()], f"correction:{self.id}")
        self._note("corrected", {"message": new_id})
        self.sudo().stage = "sent"
        if self.message_id.state == states.PARKED:
            self.message_id._cancel(self.env._("Corrected by #%s", new_id))
        self.env.cr.execute(
            "UPDATE health_message_correct SET draft = NULL WHERE id = %s", [self.id]
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": "health.message",
            "res_id": new_id,
            "views": [(False, "form")],
        }

    def _begin(self, stage):
        """Rights, a reason, the right moment; one at a time."""
        self.ensure_one()
        self._check_rights()
        self.flush_recordset()
        self.env.cr.execute(
            "SELECT stage FROM health_message_correct WHERE id = %s FOR UPDATE",
            [self.id],
        )
        if self.env.cr.fetchone()[0] != stage:
            raise UserError(self.env._("This correction has been sent already."))
        if not (self.reason or "").strip():
            raise UserError(self.env._("Say why the message is corrected."))
        message = self.message_id
        message.check_access("read")
        if message.direction != "in" or message.state not in _CORRECTABLE:
            raise UserError(
                self.env._("Only inbound messages that are not at work are corrected.")
            )

    def _note(self, outcome, more):
        """Evidence on the original: who and why; nothing of the content."""
        self.env["health.attempt"]._append(
            [
                {
                    "message_id": self.message_id.id,
                    "number": self.message_id.tries,
                    "step": "edit",
                    "started_at": fields.Datetime.now(),
                    "outcome": outcome,
                    "params": json.dumps(
                        {"user": self.env.uid, "reason": self.reason, **more}
                    ),
                }
            ]
        )

    def _say(self, verdict):
        if verdict.outcome == FAILED:
            book = self.env["health.playbook"].sudo()._for(verdict.code, "bug")
            title = book._render("title", {}) or verdict.code
            return self.env._("It would fail: %s", title)
        if verdict.changes_nothing:
            return self.env._("It would change nothing.")
        return self.env._("It would change %s business row(s).", verdict.changes)

    def _show(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Correct and replay"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }
