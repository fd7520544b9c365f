"""The drain: claims messages of one backend in batches and applies them.

Three transactions per batch, each on a cursor of its own (design §2 and §6):

1. *claim* (``lib/claiming.py``): runs of order keys, ``FOR UPDATE SKIP LOCKED``, with a
   lease and the try counted, committed, so that a crash in the middle is seen as a
   lease that ends;
2. *apply* (``health_pipeline.py``): effect, bindings, attempt and the state ``done``
   commit together;
3. *record* (``health_failure.py``): failures of that batch, outside the transaction
   that failed.

Several drains may work on one backend, up to its share (``health_drain_slot.py``).
"""

import logging
import os
import time
import uuid

import psycopg2

from odoo import SUPERUSER_ID, api, fields, models

from ..lib import claiming, slots, states, wake
from ..lib.claiming import BATCH, NOW as _NOW
from ..lib.errors import TRANSIENT, Failure
from .shift import Shift
from .work import DATABASE_CONFLICTS, UNTAKEN, transaction

_logger = logging.getLogger(__name__)

#: seconds one job works before it hands over to a new one
BUDGET = 30.0
#: seconds after which it does so when a main drain of others waits for a worker
TURN, HELPER_TURN = 3.0, 0.0
#: a main drain goes before a helper of another backend
PRIORITY, HELPER_PRIORITY = 5, 15
_CONFLICT_ROUNDS = 5
_CLAIMABLE = states.sql_list(states.CLAIMABLE)

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

# served by health_message_claim_idx
_IS_DUE = f"""
SELECT EXISTS (SELECT 1 FROM health_message
                WHERE backend_id = %s AND state IN {_CLAIMABLE}
                  AND direction = 'in' AND next_try_at <= {_NOW})
"""

# served by the queue's own index of states; jobs of this very backend do not count
_OTHERS_WAIT = """
SELECT EXISTS (
    SELECT 1 FROM queue_job
     WHERE state IN ('pending', 'enqueued') AND model_name = 'health.drain'
       AND priority <= %s AND identity_key NOT IN (%s, %s))
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

        Where no job runner takes the job in time (:data:`UNTAKEN`), the cron
        drains by itself, within a time budget.
        """
        self.env.cr.execute(claiming.RELEASE_FREE, [states.BEHIND])
        self.env["health.backend"]._end_pauses()
        for backend in self._with_work().filtered(lambda each: not each._closed("in")):
            job = self._enqueue(backend)
            if job and job.date_created < fields.Datetime.now() - UNTAKEN:
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
    def _enqueue(self, backend, helper=False):
        """Enqueue a drain job unless one waits already.

        :param helper: a further drain beside the one that works
        :return: the waiting ``queue.job`` record, if there was one
        """
        job = self.with_delay(
            identity_key=_job_key(backend, helper),
            description=f"Drain backend {backend.id}",
            priority=HELPER_PRIORITY if helper else PRIORITY,
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

        Without a free slot there is nothing to do: as many drains as the backend's
        share allows are at work.

        :param promise: this is a job: at slot 0 it keeps the promise of lib/wake.py,
            elsewhere it helps; and it makes room for others. The cron does neither.
        :return: True when this was the main drain and work may be left
        """
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        places = self.env["health.drain.slot"]
        number = places._take(backend, owner)
        if number is None:
            return False
        try:
            self._expire(backend)
            helps = promise and number > 0
            turn = HELPER_TURN if helps else TURN if promise else budget
            shift = Shift(self, backend, owner, promise and not helps)
            return shift.work(budget, turn) and not helps
        finally:
            places._leave(backend, owner)

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

    @api.model
    def _is_due(self, backend):
        """Whether there may be anything to claim."""
        with transaction(self.env) as env:
            env.cr.execute(_IS_DUE, [backend.id])
            return env.cr.fetchone()[0]

    @api.model
    def _others_wait(self, backend):
        """Whether a main drain of others waits for a worker."""
        keys = [_job_key(backend, helper) for helper in (False, True)]
        with transaction(self.env) as env:
            env.cr.execute(_OTHERS_WAIT, [PRIORITY, *keys])
            return env.cr.fetchone()[0]

    @api.model
    def _call_for_help(self, backend):
        """Ask for one more drain of a long backlog, if the share allows it."""
        with transaction(self.env) as env:
            if slots.has_free(env.cr, backend.id):
                env["health.drain"]._enqueue(backend, helper=True)

    # -- 1. claim ---------------------------------------------------------------

    @api.model
    def _claim(self, backend, owner, limit=BATCH):
        """Claim runs of order keys. Another worker's claim at the same moment may
        cost this one its turn, never the message."""
        for _round in range(_CONFLICT_ROUNDS):
            try:
                with transaction(self.env) as env:
                    current = env["health.backend"].browse(backend.id)
                    if current._closed("in"):
                        return []
                    live, closed = current._interfaces_to_drain()
                    cr = env.cr
                    claimed = claiming.claim(
                        cr, backend.id, live.ids, closed.ids, owner, limit
                    )
                    if len(claimed) < limit:
                        claiming.set_back(cr, backend.id)
                    return claimed
            except DATABASE_CONFLICTS:
                continue
        return []

    @api.model
    def _expire(self, backend):
        """A lease that ended means a worker died over it: count that as a failure."""
        failure = Failure(claiming.LEASE_ENDED, TRANSIENT)
        try:
            with transaction(self.env) as env:
                ids = claiming.ended_leases(env.cr, backend.id)
                failures = dict.fromkeys(ids, (failure, "lease", 0.0))
                env["health.failure"]._record(failures)
        except DATABASE_CONFLICTS:
            _logger.info("ended leases of backend %s: another one's", backend.id)


def _job_key(backend, helper=False):
    return f"health.drain:{backend.id}{':help' if helper else ''}"


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
