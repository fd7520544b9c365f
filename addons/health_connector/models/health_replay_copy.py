"""New messages with the content of old ones; the old ones are not touched."""

import logging
import uuid
from dataclasses import dataclass, replace
from typing import Any

from odoo import api, models

from ..lib.accept import payload_aad
from ..lib.keyring import KeyringError
from ..lib.replay import PRIORITY

_logger = logging.getLogger(__name__)

# The link goes to the first message of the same content: a replay of a replay is
# another replay of the original, a replay of a corrected version is one of that.
_READ = """
SELECT m.id, m.uid, m.direction, m.order_key, m.content_hash, m.message_type, m.size,
       COALESCE(r.id, m.id), m.conflict_id, m.res_id,
       (SELECT p.content_type FROM health_payload p
         WHERE p.message_id IN (m.id, m.origin_id)
           AND (p.stage = 'raw' OR p.message_id = m.id AND m.direction = 'out'
                AND p.stage = 'canonical')
         ORDER BY p.stage, p.message_id DESC LIMIT 1)
  FROM health_message m
  LEFT JOIN health_message r
    ON r.id = m.replay_of_id AND r.content_hash = m.content_hash
 WHERE m.id = ANY(%s) ORDER BY m.id
"""

# Ids follow the originals, so that order keys keep their order. The dedupe key is
# derived from replay and original: a batch that is repeated stores nothing twice.
_STORE = """
WITH copy AS MATERIALIZED (
    SELECT nextval('health_message_id_seq') AS id, c.* FROM unnest(
        %s::int[], %s::int[], %s::varchar[], %s::varchar[], %s::varchar[],
        %s::varchar[], %s::varchar[], %s::int[], %s::int[], %s::varchar[],
        %s::varchar[], %s::bytea[], %s::varchar[], %s::varchar[]
    ) AS c (
        source_id, replay_of_id, uid, dedupe_key, order_key, content_hash,
        message_type, size, conflict_id, stage, key_id, sealed, content_type, charset
    )
), stored AS (
    INSERT INTO health_message (
        id, uid, interface_id, backend_id, company_id, direction, priority,
        dedupe_key, order_key, content_hash, conflict_id, message_type, external_ref,
        size, event, res_model, res_id, replay_of_id, replay_id,
        state, tries, accepted_at, state_at, next_try_at
    )
    SELECT c.id, c.uid, o.interface_id, o.backend_id, o.company_id, o.direction,
           GREATEST(o.priority, %s), c.dedupe_key, c.order_key, c.content_hash,
           c.conflict_id, c.message_type, o.external_ref, c.size, o.event,
           CASE o.direction WHEN 'out' THEN o.res_model END,
           CASE o.direction WHEN 'out' THEN o.res_id END,
           c.replay_of_id, %s, 'pending', 0, now() AT TIME ZONE 'UTC',
           now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
      FROM copy c JOIN health_message o ON o.id = c.source_id
     ORDER BY c.id
    ON CONFLICT (interface_id, dedupe_key) DO NOTHING
    RETURNING id, backend_id, direction
), payload AS (
    INSERT INTO health_payload (
        message_id, stage, key_id, sealed, size, content_type, charset
    )
    SELECT id, stage, key_id, sealed, size, content_type, charset
      FROM stored JOIN copy USING (id) WHERE sealed IS NOT NULL
)
SELECT id, backend_id, direction FROM stored ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A message to be, with the content of ``source_id``.

    :param data: None for an outbound message that is built from its record again
    """

    source_id: int
    source_uid: str
    direction: str
    order_key: str | None
    content_hash: str | None
    message_type: str | None
    size: int | None
    replay_of_id: int
    conflict_id: int | None
    res_id: int | None
    content_type: str | None
    stage: str = "raw"
    data: bytes | None = None
    charset: str = ""

    def corrected(self, data: bytes, charset: str, peeked: dict[str, Any]) -> "Copy":
        """The same with other bytes, keyed by what those say."""
        return replace(
            self,
            data=data,
            charset=charset,
            size=len(data),
            replay_of_id=self.source_id,
            conflict_id=None,
            **peeked,
        )


class HealthReplayCopy(models.AbstractModel):
    """Stores copies, set-based. No fields, nothing over RPC."""

    _name = "health.replay.copy"
    _description = "Copies of messages"

    @api.model
    def _read(self, ids):
        """Open messages as copies; one whose content is gone, or does not open, is
        left out. Of an outbound message the document that was emitted is copied, or
        what a route passed on; else it is built from its record again. What was sent
        is not: the first message's key stands in it.

        :return: list of :class:`Copy`, in the order of ids
        """
        self.env.cr.execute(_READ, [list(ids)])
        copies = [Copy(*row) for row in self.env.cr.fetchall()]
        outbound = [copy.source_id for copy in copies if copy.direction == "out"]
        canonical = self._open(outbound, "canonical")
        raw = self._open(
            [copy.source_id for copy in copies if copy.source_id not in canonical],
            "raw",
        )
        result = []
        for copy in copies:
            for stage, opened in (("canonical", canonical), ("raw", raw)):
                if copy.source_id in opened:
                    data, charset = opened[copy.source_id]
                    copy = replace(copy, stage=stage, data=data, charset=charset)
            if copy.data is not None or (copy.direction == "out" and copy.res_id):
                result.append(copy)
        return result

    @api.model
    def _open(self, ids, stage):
        """One payload that does not open must not stop the others."""
        payloads = self.env["health.payload"]
        try:
            return payloads._open_raw(ids, stage)
        except KeyringError as error:
            if len(ids) == 1:
                _logger.warning("message %s is not copied: %s", ids[0], error.code)
                return {}
        return {
            message_id: content
            for each in ids
            for message_id, content in self._open([each], stage).items()
        }

    @api.model
    def _store(self, copies, scope, replay_id=None):
        """Insert copies as pending messages and wake the drain.

        :param scope: names the one intention behind them: stored twice under the same
            scope, a copy is there once
        :return: ids of the new messages
        """
        if not copies:
            return []
        ring = self.env["health.keyring"]._ring()
        rows = [_row(ring, copy, scope) for copy in copies]
        columns = [list(column) for column in zip(*rows, strict=True)]
        self.env.cr.execute(_STORE, [*columns, PRIORITY, replay_id])
        stored = self.env.cr.fetchall()
        for direction in {row[2] for row in stored}:
            backends = {row[1] for row in stored if row[2] == direction}
            self.env["health.drain"]._wake_after_commit(backends, direction)
        return [row[0] for row in stored]


def _row(ring, copy, scope):
    uid = uuid.uuid4().hex
    key_id = sealed = None
    if copy.data is not None:
        key_id, sealed = ring.seal(copy.data, payload_aad(uid, copy.stage))
    return (
        copy.source_id,
        copy.replay_of_id,
        uid,
        ring.blind(scope, copy.source_uid),
        copy.order_key,
        copy.content_hash,
        copy.message_type,
        copy.size,
        copy.conflict_id,
        copy.stage,
        key_id,
        sealed,
        copy.content_type,
        copy.charset,
    )
