"""The drain: claims messages of one backend in batches and applies them.

Three transactions per batch, each on a cursor of its own (design §2 and §6):

1. *claim*: runs of order keys, ``FOR UPDATE SKIP LOCKED``, with a lease and the
   try counted, committed, so that a crash in the middle is seen as a lease that ends;
2. *apply* (``health_pipeline.py``): each message in a savepoint; effect, bindings,
   attempt and the state ``done`` commit together;
3. *record* (``health_failure.py``): failures of that batch, outside the transaction
   that failed.
"""

import logging
import os
import time
import uuid
from datetime import timedelta

import psycopg2

from odoo import SUPERUSER_ID, api, fields, models

from ..lib import states, wake
from ..lib.errors import TRANSIENT, Failure
from .work import DATABASE_CONFLICTS, transaction

_logger = logging.getLogger(__name__)

BATCH = 200
#: seconds after which a claimed message may be claimed by another worker
LEASE = 120
#: seconds one job works before it hands over to a new one
BUDGET = 30.0
#: seconds a promise is extended by; see lib/wake.py
PROMISE = 2.0
#: seconds between looks at an empty queue while the promise lasts
POLL = 0.05
_OPEN = states.sql_list(states.OPEN)
_CLAIMABLE = states.sql_list(states.CLAIMABLE)
_BLOCKING = states.sql_list(states.BLOCKING)
_STUCK = states.sql_list(states.STUCK)
_NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"

# Candidates are due and have no earlier message of their order key that is at work,
# waits or needs a person (health_message_claim_idx, health_message_blocking_idx), nor
# a less urgent one: behind that they would only fill the batch, and a batch full of
# them would keep the one they wait for from its turn for ever. Of
# these a run of one key is taken whole, as long as it is of one interface: each must
# have all its open predecessors in the same batch (health_message_order_key_idx).
_CLAIM = f"""
WITH candidate AS (
    SELECT m.id, m.order_key, m.interface_id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.state IN {_CLAIMABLE}
       AND m.direction = 'in' AND m.next_try_at <= {_NOW}
       AND m.interface_id = ANY(%(interfaces)s)
       AND (m.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_BLOCKING} AND e.order_key IS NOT NULL
               AND NOT (e.state = 'waiting' AND e.next_try_at <= {_NOW})))
       AND (m.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL
               AND e.priority > m.priority))
     ORDER BY m.priority, m.id
     LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
), claimed AS (
    SELECT c.id FROM candidate c
     WHERE c.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
         LEFT JOIN candidate o ON o.id = e.id
             WHERE e.backend_id = %(backend)s AND e.order_key = c.order_key
               AND e.id < c.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL
               AND o.interface_id IS DISTINCT FROM c.interface_id)
)
UPDATE health_message m
   SET state = 'processing', state_at = {_NOW}, tries = m.tries + 1,
       lease_owner = %(owner)s, lease_until = {_NOW} + %(lease)s * interval '1 second'
  FROM claimed WHERE m.id = claimed.id
RETURNING m.id
"""

# The tables' statistics lag behind a burst, and a plan that reads the whole backlog
# for each batch would follow; these statements are meant to walk the indexes.
_WALK_INDEXES = """
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL enable_seqscan = off
"""

# served by the same: what may not be claimed until a person has decided
_SET_BACK = f"""
WITH behind AS (
    SELECT m.id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.state IN {_CLAIMABLE}
       AND m.direction = 'in'
       AND m.next_try_at <= {_NOW} AND m.order_key IS NOT NULL
       AND EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_STUCK} AND e.order_key IS NOT NULL)
     ORDER BY m.priority, m.id
     LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE health_message m
   SET state = 'waiting', state_at = {_NOW}, next_try_at = %(behind)s
  FROM behind WHERE m.id = behind.id
"""

# a release that missed a message set back at the same moment is made up for
_RELEASE_FREE = f"""
UPDATE health_message m
   SET state = 'pending', state_at = {_NOW}, next_try_at = {_NOW}
 WHERE m.state = 'waiting' AND m.next_try_at = %s
   AND NOT EXISTS (
        SELECT 1 FROM health_message e
         WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
           AND e.id < m.id AND e.state IN {_STUCK} AND e.order_key IS NOT NULL)
"""

# served by health_message_lease_idx
_ENDED_LEASES = f"""
SELECT id FROM health_message
 WHERE state = 'processing' AND direction = 'in' AND lease_until < {_NOW}
   AND backend_id = %s
 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""


# served by health_message_claim_idx and health_message_lease_idx
_WITH_WORK = f"""
SELECT b.id FROM health_backend b
  LEFT JOIN health_backend_state s ON s.backend_id = b.id
 WHERE b.active AND NOT COALESCE(b.paused_in, false)
   AND COALESCE(s.drain_until, {_NOW}) <= {_NOW}
   AND (EXISTS (SELECT 1 FROM health_message m
                 WHERE m.backend_id = b.id AND m.state IN {_CLAIMABLE}
                   AND m.direction = 'in' AND m.next_try_at <= {_NOW})
     OR EXISTS (SELECT 1 FROM health_message m
                 WHERE m.backend_id = b.id AND m.state = 'processing'
                   AND m.direction = 'in' AND m.lease_until < {_NOW}))
 ORDER BY b.id
"""

_PROMISE = f"""
UPDATE health_backend_state
   SET drain_until = {_NOW} + %s * interval '1 second'
 WHERE backend_id = %s
"""


class HealthDrain(models.AbstractModel):
    """Dispatch, claim and the loop around both. No fields, nothing over RPC."""

    _name = "health.drain"
    _description = "Drain"

    # -- waking and dispatch ----------------------------------------------------

    @api.model
    def _wake_after_commit(self, backend_ids, direction=wake.IN):
        """Wake the drain once this transaction is committed. Never raises."""
        registry, ids = self.env.registry, list(backend_ids)
        self.env.cr.postcommit.add(lambda: _wake_now(registry, ids, direction))

    @api.model
    def _cron_dispatch(self):
        """Cron: give every backend with work a drain job, unless one is running.

        Where no job runner is alive (its job waits for over a minute), the cron
        drains by itself, within a time budget.
        """
        self.env.cr.execute(_RELEASE_FREE, [states.BEHIND])
        for backend in self._with_work():
            job = self._enqueue(backend)
            if job and job.date_created < fields.Datetime.now() - timedelta(minutes=1):
                _logger.info("no job runner: the cron drains backend %s", backend.id)
                self._drain(backend, budget=BUDGET / 2, promise=False)
        self._dispatch_out()
        self.env["ir.cron"]._commit_progress()

    @api.model
    def _with_work(self):
        """Backends with claimable messages or ended leases and no promise."""
        self.env.cr.execute(_WITH_WORK)
        return self.env["health.backend"].browse(
            row[0] for row in self.env.cr.fetchall()
        )

    @api.model
    def _enqueue(self, backend):
        """Enqueue a drain job unless one waits already.

        :return: the waiting ``queue.job`` record, if there was one
        """
        key = f"health.drain:{backend.id}"
        job = self.with_delay(
            identity_key=key, description=f"Drain backend {backend.id}", priority=5
        )._drain_job(backend.id)
        return job if isinstance(job, models.BaseModel) else None

    @api.model
    def _drain_job(self, backend_id):
        """Queue job: drain one backend. Carries an id only."""
        backend = self.env["health.backend"].browse(backend_id).exists()
        if backend and self._drain(backend):
            self._enqueue(backend)

    # -- the loop ---------------------------------------------------------------

    @api.model
    def _drain(self, backend, budget=BUDGET, promise=True):
        """Drain until nothing is left and the promise has ended, or the budget has.

        :param promise: keep the promise of lib/wake.py (jobs do; the cron does not)
        :return: True when the budget ended first and work may be left
        """
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        clock = time.monotonic
        deadline, promised, worked = clock() + budget, 0.0, 1
        self._expire(backend)
        while (looked := clock()) < deadline:
            if promise and worked and promised - looked < PROMISE / 2:
                promised = self._promise(backend, PROMISE)
            worked = self._drain_slice(backend, owner)
            if not worked:
                if looked >= promised:
                    return False
                time.sleep(POLL)
        if promise:
            self._promise(backend, 0.0)
        return True

    @api.model
    def _promise(self, backend, seconds):
        """Publish until when this drain looks for work; returns it on our clock."""
        with transaction(self.env) as env:
            env.cr.execute(_PROMISE, [seconds, backend.id])
        return time.monotonic() + seconds

    @api.model
    def _drain_slice(self, backend, owner, limit=BATCH):
        """Claim one batch, apply it, record its failures.

        :return: how many messages were claimed
        """
        ids = self._claim(backend, owner, limit)
        if ids:
            live = self.env["health.shadow"]._take_shadows(ids, owner)
            failed = self.env["health.pipeline"]._apply_claimed(live, owner)
            self.env["health.failure"]._record_failures(failed, owner)
        return len(ids)

    # -- 1. claim ---------------------------------------------------------------

    @api.model
    def _claim(self, backend, owner, limit=BATCH):
        """Claim runs of order keys. Another worker's claim at the same moment may
        cost this one its turn, never the message."""
        try:
            with transaction(self.env) as env:
                current = env["health.backend"].browse(backend.id)
                if not current.active or current.paused_in:
                    return []
                live = env["health.interface"].search(
                    [("backend_id", "=", backend.id), ("state", "=", "live")]
                )
                env.cr.execute(_WALK_INDEXES)
                env.cr.execute(
                    _CLAIM,
                    {
                        "backend": backend.id,
                        "interfaces": live.ids,
                        "limit": limit,
                        "owner": owner,
                        "lease": LEASE,
                    },
                )
                claimed = sorted(row[0] for row in env.cr.fetchall())
                if len(claimed) < limit:
                    env["health.drain"]._set_back(backend)
                return claimed
        except DATABASE_CONFLICTS:
            return []

    @api.model
    def _set_back(self, backend):
        """Take messages behind a parked one out of the way of the claim, so that a
        long line behind it costs nothing. Releasing the head brings them back."""
        self.env.cr.execute(
            _SET_BACK,
            {"backend": backend.id, "limit": 5 * BATCH, "behind": states.BEHIND},
        )

    @api.model
    def _expire(self, backend):
        """A lease that ended means a worker died over it: count that as a failure."""
        failure = Failure("drain.lease_ended", TRANSIENT)
        with transaction(self.env) as env:
            env.cr.execute(_ENDED_LEASES, [backend.id, BATCH])
            ids = [row[0] for row in env.cr.fetchall()]
            env["health.failure"]._record(dict.fromkeys(ids, (failure, "lease", 0.0)))


_throttle = wake.Throttle()


def _wake_now(registry, backend_ids, direction):
    """After the commit: ask for a drain in a transaction of its own.

    A failure here costs latency, not the message: the cron sweeps every minute.
    """
    due = _throttle.due((registry.db_name, direction, each) for each in backend_ids)
    if not due:
        return
    try:
        with registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            if wake.wake(cr, [key[-1] for key in due], direction):
                _throttle.forget(due)
                cron = env.ref("health_connector.cron_dispatch")
                cr.postcommit.add(cron._notifydb)
    except psycopg2.Error as exc:
        _throttle.forget(due)
        _logger.warning("waking the drain failed: %s", type(exc).__name__)
