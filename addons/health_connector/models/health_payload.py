"""Sealed bytes of a message, one row per stage."""

from odoo import api, fields, models

from ..lib.accept import payload_aad
from .implied import ImpliedMany2one

STAGES = [
    ("raw", "As received"),
    ("canonical", "Canonical"),
    ("sent", "As sent"),
    ("answer", "Answer"),
]


_SEALED = """
SELECT p.message_id, m.uid, p.key_id, p.sealed, p.charset
  FROM health_payload p JOIN health_message m ON m.id = p.message_id
 WHERE p.message_id = ANY(%s) AND p.stage = %s
"""

# a routed copy has no bytes of its own
_SEALED_OF_ORIGIN = """
SELECT m.id, o.uid, p.key_id, p.sealed, p.charset
  FROM health_message m
  JOIN health_message o ON o.id = m.origin_id
  JOIN health_payload p ON p.message_id = o.id
 WHERE m.id = ANY(%s) AND p.stage = %s
"""


class HealthPayload(models.Model):
    """What was exchanged, sealed.

    The sealed bytes are a column the ORM does not know, so that no read, export,
    search or RPC call can reach them; :meth:`_open_raw` is the only way in.
    """

    _name = "health.payload"
    _inherit = "health.evidence"
    _description = "Payload"
    _order = "message_id, id"
    _log_access = False
    _rec_name = "stage"

    message_id = ImpliedMany2one("health.message", required=True, readonly=True)
    company_id = fields.Many2one(related="message_id.company_id")
    stage = fields.Selection(STAGES, required=True, readonly=True)
    key_id = fields.Char(required=True, readonly=True)
    size = fields.Integer(string="Bytes", readonly=True, aggregator=None)
    content_type = fields.Char(readonly=True)
    charset = fields.Char(readonly=True)

    # drain and detail: a stage of a message
    _stage = models.UniqueIndex("(message_id, stage)")

    def init(self):
        self.env.cr.execute(
            """ALTER TABLE health_payload
               ADD COLUMN IF NOT EXISTS sealed bytea NOT NULL"""
        )
        # sealed bytes do not compress: do not let the database try
        self.env.cr.execute(
            "ALTER TABLE health_payload ALTER COLUMN sealed SET STORAGE EXTERNAL"
        )

        # retention's deletions are to be room for new rows soon, not after a fifth
        self.env.cr.execute(
            "ALTER TABLE health_payload SET (autovacuum_vacuum_scale_factor = 0.05)"
        )

    @api.model
    def _open_raw(self, message_ids, stage="raw"):
        """Open one stage of many messages with one query. For the drain only: opening
        for a person's eyes goes through the audited content view.

        :return: {message id: (bytes, charset)}
        :raises KeyringError: the ring lacks a key, or a row was altered
        """
        opened = self._open_rows(_SEALED, message_ids, stage)
        missing = set(message_ids) - set(opened)
        if missing and stage == "raw":
            opened |= self._open_rows(_SEALED_OF_ORIGIN, missing, stage)
        return opened

    @api.model
    def _open_rows(self, query, message_ids, stage):
        ring = self.env["health.keyring"]._ring()
        self.env.cr.execute(query, [list(message_ids), stage])
        return {
            message_id: (
                ring.open(key_id, bytes(sealed), payload_aad(uid, stage)),
                charset or "",
            )
            for message_id, uid, key_id, sealed, charset in self.env.cr.fetchall()
        }

    @api.model
    def _store(self, stage, content):
        """Seal and store one stage of many messages.

        :param content: {message id: (message uid, bytes, content type)}; a stage that
            is there already (the message is processed again) is replaced
        """
        if not content:
            return
        ring = self.env["health.keyring"]._ring()
        rows = []
        for message_id, (uid, data, content_type) in content.items():
            key_id, sealed = ring.seal(data, payload_aad(uid, stage))
            rows.append((message_id, stage, key_id, sealed, len(data), content_type))
        self.env.cr.execute_values(
            """INSERT INTO health_payload
                      (message_id, stage, key_id, sealed, size, content_type)
               VALUES %s
               ON CONFLICT (message_id, stage) DO UPDATE
                  SET key_id = EXCLUDED.key_id, sealed = EXCLUDED.sealed,
                      size = EXCLUDED.size, content_type = EXCLUDED.content_type""",
            rows,
        )
