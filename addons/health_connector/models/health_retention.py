"""Retention: deletes what was kept long enough, in batches that commit."""

import logging
import time
from datetime import timedelta

from odoo import api, fields, models

from ..lib import states
from ..lib.errors import CONTRACT, Failure
from .health_interface_retention import STAGES
from .work import DATABASE_CONFLICTS, transaction

_logger = logging.getLogger(__name__)

#: messages looked at in one transaction
BATCH = 5000
#: seconds for one run of the cron; the next one goes on where it ended
BUDGET = 60
ENVELOPE = "envelope"
ATTEMPT = "attempt"
#: bytes that a routed copy reads at its origin
_SHARED = ("raw", ENVELOPE)
_CLOSED = states.sql_list(states.CLOSED)
_OPEN = states.sql_list(states.OPEN)
_STUCK_STATES = states.sql_list(states.STUCK)
_CLAIMABLE = states.sql_list(states.CLAIMABLE)

# While a batch runs, nobody can set a hold that it would not respect: whoever sets one
# writes the row of every interface first.
_NOT_HELD = """
SELECT 1 FROM health_interface i JOIN health_backend b ON b.id = i.backend_id
 WHERE i.id = %s AND i.legal_hold IS NOT TRUE AND b.legal_hold IS NOT TRUE
   FOR SHARE OF i
"""

# served by health_message_accepted_idx
_NEXT = """
SELECT id, accepted_at FROM health_message
 WHERE interface_id = %(interface)s AND accepted_at < %(cutoff)s
   AND accepted_at >= %(reached_at)s::timestamp
   AND (accepted_at > %(reached_at)s::timestamp OR id > %(reached_id)s)
 ORDER BY accepted_at, id LIMIT %(limit)s
"""

_LATER = """
SELECT message_id FROM health_retention_later
 WHERE interface_id = %s AND stage = %s AND message_id > %s
 ORDER BY message_id LIMIT %s
"""

# A copy has no bytes of its own: those of its origin stay as long as it may need them.
_NO_COPY_NEEDS_IT = f"""
   AND NOT EXISTS (
        SELECT 1 FROM health_message c
          JOIN health_interface i ON i.id = c.interface_id
          JOIN health_backend b ON b.id = i.backend_id
         WHERE c.origin_id = m.id
           AND (c.state IN {_OPEN} OR c.legal_hold OR i.legal_hold OR b.legal_hold
                OR c.state_at >= %(now)s - i.raw_days * interval '1 day'))
"""

_MAY_LEAVE = f"""
SELECT m.id FROM health_message m
 WHERE m.id = ANY(%(ids)s) AND m.state IN {_CLOSED} AND m.state_at < %(cutoff)s
   AND m.legal_hold IS NOT TRUE
"""

_PUT_OFF = """
INSERT INTO health_retention_later (interface_id, stage, message_id)
SELECT %s, %s, unnest(%s::int[]) ON CONFLICT DO NOTHING
"""

# what was closed long ago and holds up nothing; its subject names business records
_EXCEPTIONS = """
DELETE FROM health_exception WHERE id IN (
    SELECT e.id FROM health_exception e
     WHERE e.interface_id = %s AND e.state = 'closed' AND e.closed_at < %s
       AND NOT EXISTS (SELECT 1 FROM health_message m WHERE m.exception_id = e.id)
     LIMIT %s FOR UPDATE SKIP LOCKED)
"""

# served by health_message_stuck_idx and health_message_claim_idx
_STUCK = f"""
SELECT EXISTS (SELECT 1 FROM health_message
                WHERE interface_id = %(interface)s AND accepted_at < %(cutoff)s
                  AND state IN {_STUCK_STATES})
    OR EXISTS (SELECT 1 FROM health_message
                WHERE backend_id = %(backend)s AND interface_id = %(interface)s
                  AND accepted_at < %(cutoff)s AND state IN {_CLAIMABLE})
"""


class HealthRetention(models.AbstractModel):
    """Content leaves before its message, each stage when its days are over. No
    fields, nothing over RPC."""

    _name = "health.retention"
    _description = "Retention"

    @api.model
    def _cron_retention(self):
        """Cron: delete what is due, within a time budget.

        Each batch is a transaction of its own, which also notes how far it came: a
        run that is killed has done what it has committed, and the next one goes on.
        """
        deadline = time.monotonic() + BUDGET
        interfaces = self.env["health.interface"].with_context(active_test=False)
        finished = True
        for interface in interfaces.search(fields.Domain.TRUE):
            self._report_stuck(interface)
            finished = self._purge(interface, deadline) and finished
        self.env["ir.cron"]._commit_progress(1, remaining=0 if finished else 1)

    @api.model
    def _purge(self, interface, deadline, limit=BATCH):
        """Delete what is due of one interface.

        :param deadline: on the monotonic clock
        :return: whether all of it is done
        """
        for stage in STAGES:
            for step in ("_purge_later", "_purge_next"):
                position = None
                while time.monotonic() < deadline:
                    position = self._batch(step, interface, stage, position, limit)
                    if position is None:
                        break
                else:
                    return False
        with transaction(self.env) as env:
            cutoff = self._cutoff(interface, interface.envelope_days)
            env.cr.execute(_EXCEPTIONS, [interface.id, cutoff, limit])
        return True

    @api.model
    def _batch(self, step, interface, stage, position, limit):
        """One batch in its own transaction.

        :param step: the method that does it
        :return: where to go on, or None when there is nothing left or the database
            has refused because somebody else is at it
        """
        try:
            with transaction(self.env) as env:
                env.cr.execute(_NOT_HELD, [interface.id])
                if not env.cr.fetchone():
                    return None
                purge = getattr(env["health.retention"], step)
                return purge(interface.with_env(env), stage, position, limit)
        except DATABASE_CONFLICTS:
            _logger.info("retention of interface %s goes on later", interface.id)
            return None

    @api.model
    def _purge_next(self, interface, stage, _position, limit):
        """Messages that have come of age since the last run."""
        floor = self.env["health.retention.floor"]
        reached_at, reached_id = floor._find(interface, stage)
        cutoff = self._cutoff(interface, interface[STAGES[stage]])
        self.env.cr.execute(
            _NEXT,
            {
                "interface": interface.id,
                "cutoff": cutoff,
                "reached_at": reached_at,
                "reached_id": reached_id,
                "limit": limit,
            },
        )
        rows = self.env.cr.fetchall()
        if not rows:
            # nothing up to here: the next run need not look again
            floor._move(interface, stage, (cutoff, 0))
            return None
        ids = [row[0] for row in rows]
        left = set(ids) - self._delete_due(interface, stage, ids)
        self.env.cr.execute(_PUT_OFF, [interface.id, stage, sorted(left)])
        floor._move(interface, stage, (rows[-1][1], rows[-1][0]))
        return rows[-1][0]

    @api.model
    def _purge_later(self, interface, stage, position, limit):
        """Messages that were passed by before."""
        self.env.cr.execute(_LATER, [interface.id, stage, position or 0, limit])
        ids = [row[0] for row in self.env.cr.fetchall()]
        if not ids:
            return None
        gone = self._delete_due(interface, stage, ids)
        self.env.cr.execute(
            """DELETE FROM health_retention_later
                WHERE interface_id = %s AND stage = %s AND message_id = ANY(%s)""",
            [interface.id, stage, list(gone)],
        )
        return ids[-1]

    @api.model
    def _delete_due(self, interface, stage, ids):
        """Delete a stage of those messages that may leave.

        :return: set of their ids
        """
        also = _NO_COPY_NEEDS_IT if stage in _SHARED else ""
        self.env.cr.execute(
            _MAY_LEAVE + also,
            {
                "ids": ids,
                "cutoff": self._cutoff(interface, interface[STAGES[stage]]),
                "now": fields.Datetime.now(),
            },
        )
        due = [row[0] for row in self.env.cr.fetchall()]
        if due and stage == ENVELOPE:
            self._delete_messages(due)
        elif due and stage == ATTEMPT:
            self.env["health.interface.stat"]._set_aside(due, messages=False)
            self._delete("health_attempt", due)
        elif due:
            self.env.cr.execute(
                "DELETE FROM health_payload WHERE message_id = ANY(%s) AND stage = %s",
                [due, stage],
            )
        return set(due)

    @api.model
    def _delete_messages(self, ids):
        self.env["health.interface.stat"]._set_aside(ids)
        for table in ("health_attempt", "health_payload", "health_retention_later"):
            self._delete(table, ids)
        self.env.cr.execute("DELETE FROM health_message WHERE id = ANY(%s)", [ids])

    @api.model
    def _delete(self, table, ids):
        self.env.cr.execute(f"DELETE FROM {table} WHERE message_id = ANY(%s)", [ids])

    @api.model
    def _cutoff(self, interface, days):
        return fields.Datetime.now() - timedelta(days=days)

    @api.model
    def _report_stuck(self, interface):
        """An exception while messages are open for longer than they should be."""
        days = interface.stuck_days
        with transaction(self.env) as env:
            exceptions = env["health.exception"]
            values = {
                "interface": interface.id,
                "backend": interface.backend_id.id,
                "cutoff": self._cutoff(interface, days),
            }
            env.cr.execute(_STUCK, values)
            failure = Failure("retention.open_too_long", CONTRACT, {"days": days})
            if env.cr.fetchone()[0]:
                now = fields.Datetime.now()
                exceptions._record(interface.with_env(env), failure, now)
            else:
                exceptions._close_cause(interface, failure.code)
