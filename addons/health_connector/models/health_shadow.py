"""What a shadow would have done, compared with what the live flow did."""

import json

from odoo import api, fields, models
from odoo.fields import NO_ACCESS

from ..lib import states
from ..lib.errors import HealthError
from ..lib.shadow import LiveSide, ShadowSide, compare
from ..lib.verdict import canonical_bytes
from .implied import ImpliedMany2one
from .work import hold, transaction

BATCH = 200

# The live flow of the same accepted message: its entry, unless that is a shadow or off,
# else the first live copy. Served by the primary key and health_message_origin_idx.
_SIBLINGS = """
SELECT s.id, l.id, l.state, l.error_code
  FROM health_shadow s
  LEFT JOIN LATERAL (
       SELECT m.id, m.state, m.error_code FROM health_message m
        WHERE (m.id = s.origin_id OR m.origin_id = s.origin_id)
          AND m.direction = 'in' AND m.is_shadow IS NOT TRUE
          AND m.reason IS DISTINCT FROM 'route.off'
     ORDER BY m.id LIMIT 1) l ON true
 WHERE s.id = ANY(%s)
"""


class HealthShadow(models.Model):
    """One message applied in a transaction that was rolled back. Append-only but for
    the comparison, which waits until the live flow has ended."""

    _name = "health.shadow"
    _inherit = "health.evidence"
    _description = "Shadow result"
    _order = "id desc"
    _log_access = False
    _rec_name = "message_id"

    message_id = ImpliedMany2one("health.message", required=True, readonly=True)
    origin_id = ImpliedMany2one("health.message", readonly=True)
    live_id = ImpliedMany2one(
        "health.message", string="Live message", readonly=True, help="Compared with it."
    )
    company_id = ImpliedMany2one("res.company", required=True, readonly=True)
    interface_id = fields.Many2one(
        "health.interface", required=True, readonly=True, ondelete="cascade"
    )
    at = fields.Datetime(required=True, readonly=True)
    outcome = fields.Selection(
        [("done", "Done"), ("ignored", "Nothing to do"), ("failed", "Failed")],
        string="Shadow would have",
        required=True,
        readonly=True,
    )
    code = fields.Char(string="Cause", readonly=True)
    changes = fields.Integer(
        string="Rows it would have changed", readonly=True, aggregator="sum"
    )
    document_hash = fields.Char(readonly=True, groups=NO_ACCESS)
    live_state = fields.Char(string="Live flow", readonly=True)
    live_code = fields.Char(string="Its cause", readonly=True)
    verdict = fields.Selection(
        [
            ("waiting", "Not compared yet"),
            ("same", "Same"),
            ("differs", "Differs"),
            ("alone", "Nothing to compare with"),
        ],
        required=True,
        readonly=True,
    )
    difference = fields.Selection(
        [
            ("outcome", "One succeeded, the other failed"),
            ("cause", "Both failed, for different causes"),
            ("document", "They understood the message differently"),
        ],
        readonly=True,
    )

    # comparison: results whose live flow had not ended
    _waiting_idx = models.Index("(id) WHERE verdict = 'waiting'")
    # report: newest of an interface
    _interface_idx = models.Index("(interface_id, id DESC)")

    # -- the drain's side ----------------------------------------------------------

    @api.model
    def _take_shadows(self, ids, owner):
        """Settle those of the claimed messages that are shadows.

        :return: the ids of the others, to be applied
        """
        # the cursor of the job may be older than the messages
        with transaction(self.env) as env:
            env.cr.execute(
                "SELECT id FROM health_message WHERE id = ANY(%s) AND is_shadow", [ids]
            )
            shadows = {row[0] for row in env.cr.fetchall()}
        if shadows:
            self._settle(sorted(shadows), owner)
        return [each for each in ids if each not in shadows]

    @api.model
    def _settle(self, ids, owner):
        """Rehearse claimed shadow messages and end them as ignored, with the result.

        Whatever the rehearsal says is a result; a shadow is never parked or shown as
        an exception. When the rehearsal cannot take place, they go back in line.
        """
        try:
            verdicts = self.env["health.rehearsal"]._rehearse(
                [(message_id, None) for message_id in ids]
            )
        except HealthError:
            for message_id in ids:
                self.env["health.pipeline"]._give_back(message_id, owner)
            return
        with transaction(self.env) as env:
            works = [each for each in hold(env, ids, owner) if each.id in verdicts]
            env["health.shadow"]._write_results(works, verdicts)
            env["health.message"]._transition(
                states.IGNORED,
                {
                    work.id: {"reason": "route.shadow", "lease_owner": None}
                    for work in works
                },
            )
        self._compare_waiting()

    @api.model
    def _write_results(self, works, verdicts):
        now = fields.Datetime.now()
        origins = {
            message.id: (message.origin_id.id or message.id, message.company_id.id)
            for message in self.env["health.message"].browse([w.id for w in works])
        }
        self.env.cr.execute_values(
            """INSERT INTO health_shadow (message_id, origin_id, company_id,
                      interface_id, at, outcome, code, changes, document_hash, verdict)
               VALUES %s""",
            [
                (
                    work.id,
                    *origins[work.id],
                    work.interface.id,
                    now,
                    verdicts[work.id].outcome,
                    verdicts[work.id].code or None,
                    verdicts[work.id].changes,
                    verdicts[work.id].document_hash or None,
                    "waiting",
                )
                for work in works
            ],
        )

    # -- comparison ------------------------------------------------------------------

    @api.model
    def _compare_waiting(self, limit=BATCH):
        """Compare what can be compared by now, in a transaction of its own."""
        with transaction(self.env) as env:
            env.cr.execute(
                """SELECT id FROM health_shadow WHERE verdict = 'waiting'
                 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED""",
                [limit],
            )
            waiting = env["health.shadow"].browse(row[0] for row in env.cr.fetchall())
            waiting._compare()

    def _compare(self):
        if not self:
            return
        self.env.cr.execute(_SIBLINGS, [self.ids])
        siblings = {row[0]: row[1:] for row in self.env.cr.fetchall()}
        hashes = self._document_hashes(
            [row[0] for row in siblings.values() if row[1] == states.DONE]
        )
        for shadow in self:
            live_id, state, code = siblings[shadow.id]
            live = LiveSide(state, code or "", hashes.get(live_id, ""))
            ours = ShadowSide(
                shadow.outcome, shadow.code or "", shadow.sudo().document_hash or ""
            )
            verdict, difference = compare(ours, live if live_id else None)
            if verdict != "waiting":
                shadow._conclude(verdict, difference, live_id, state, code)

    def _conclude(self, verdict, difference, live_id, state, code):
        self.env.cr.execute(
            """UPDATE health_shadow SET verdict = %s, difference = %s, live_id = %s,
                      live_state = %s, live_code = %s WHERE id = %s""",
            [verdict, difference or None, live_id, state, code, self.id],
        )
        self.invalidate_recordset()

    @api.model
    def _document_hashes(self, message_ids):
        """Hashes of canonical documents as the rehearsal makes them."""
        ring = self.env["health.keyring"]._ring()
        opened = self.env["health.payload"]._open_raw(message_ids, "canonical")
        return {
            message_id: ring.blind("document", canonical_bytes(json.loads(data)))
            for message_id, (data, _charset) in opened.items()
        }

    def action_open_live(self):
        """The live message this one was compared with."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "health.message",
            "res_id": self.live_id.id,
            "views": [(False, "form")],
        }
