"""Emit: the way out begins with a row in the transaction of the business."""

import json
import uuid

from odoo import api, models

from ..lib.errors import BUG, HealthError

_EVENT_LENGTH = 64

_INSERT = """
INSERT INTO health_message (
    uid, interface_id, backend_id, company_id, priority, dedupe_key, order_key,
    message_type, event, res_model, res_id, direction, state, tries,
    accepted_at, state_at, next_try_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'out', 'pending', 0,
        now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
ON CONFLICT (interface_id, dedupe_key) DO NOTHING
RETURNING id
"""


class HealthMessage(models.Model):
    _inherit = "health.message"

    @api.model
    def _emit(
        self,
        interface,
        record=None,
        document=None,
        event="",
        order_key="",
        dedupe_key="",
    ):
        """Write one outbound message in the caller's transaction: that row is the
        outbox. It is sent after the commit, and never if the caller rolls back. Needs
        no rights of the caller's user; the caller decides who may.

        :param interface: an outbound ``health.interface``
        :param record: the business record; the handler's ``_build`` reads it when the
            message is sent, not now
        :param document: canonical document; sealed at once, nothing is read later
        :param event: what happened, a short name (``create``, ``cancel``)
        :param order_key: messages of one key leave in order; the record unless given
        :param dedupe_key: the same key again returns the first message
        :return: the message
        :raises HealthError: ``outbound.direction``, ``outbound.nothing``
        """
        interface = interface.sudo()
        if interface.direction != "out":
            raise HealthError("outbound.direction", BUG, {"interface": interface.id})
        if not record and document is None:
            raise HealthError("outbound.nothing", BUG, {"interface": interface.id})
        outbox = self.sudo()
        uid = uuid.uuid4().hex
        keys = outbox._outgoing_keys(interface, record, order_key, dedupe_key or uid)
        message = outbox._insert_outgoing(interface, record, event, uid, keys)
        if message and document is not None:
            message._seal_document(document)
        if message:
            self.env["health.drain"]._wake_after_commit(interface.backend_id.ids, "out")
        return message or outbox._emitted(interface, keys[0])

    @api.model
    def _outgoing_keys(self, interface, record, order_key, dedupe_key):
        """The hashes of both keys. What leaves has an order of its own: a call in
        doubt must not hold up what comes in about the same order."""
        ring = self.env["health.keyring"]._ring()
        line = order_key or (record and f"{record._name},{record.id}")
        return (
            ring.blind(f"dedupe:{interface.id}", dedupe_key),
            ring.blind(f"order:{interface.backend_id.id}:out", line) if line else None,
        )

    @api.model
    def _insert_outgoing(self, interface, record, event, uid, keys):
        """The row; an empty recordset when its key was used before."""
        interface.flush_recordset()
        self.env.cr.execute(
            _INSERT,
            [
                uid,
                interface.id,
                interface.backend_id.id,
                interface.company_id.id,
                interface.priority,
                *keys,
                interface.message_type or None,
                (event or "")[:_EVENT_LENGTH] or None,
                record._name if record else None,
                record.id if record else None,
            ],
        )
        return self.browse(row[0] for row in self.env.cr.fetchall())

    def _seal_document(self, document):
        data = json.dumps(document, ensure_ascii=False).encode()
        self.env["health.payload"]._store(
            "canonical", {self.id: (self.uid, data, "application/json")}
        )

    def _forget_sent(self):
        """These are built anew when they are sent again: a person has corrected what
        the partner refused. What may have arrived is kept as it was."""
        self.env.cr.execute(
            """DELETE FROM health_payload p USING health_message m
                WHERE m.id = p.message_id AND m.id = ANY(%s) AND p.stage = 'sent'
                  AND m.direction = 'out' AND m.intent_at IS NULL""",
            [self.ids],
        )

    @api.model
    def _emitted(self, interface, dedupe_key):
        """The message that has used a key."""
        self.env.cr.execute(
            "SELECT id FROM health_message WHERE interface_id = %s AND dedupe_key = %s",
            [interface.id, dedupe_key],
        )
        return self.browse(row[0] for row in self.env.cr.fetchall())
