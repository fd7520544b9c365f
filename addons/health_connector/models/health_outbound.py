"""The outbound drain: claims heads of order keys of one backend and delivers them.

Its loop, promise and leases are those of the drain (``health_drain.py``); what is done
with a claimed message stands in ``health_delivery.py``.
"""

import logging
import os
import time
import uuid
from datetime import timedelta

from odoo import api, fields, models

from ..lib import states
from ..lib.errors import TRANSIENT, Failure
from . import out_work
from .work import DATABASE_CONFLICTS, UNTAKEN, transaction

_logger = logging.getLogger(__name__)

#: messages built together; each call after that is a commit of its own
BATCH = 20
#: seconds; renewed before every call
LEASE = 60
#: seconds after which a job hands over; a call that has begun may run past it
BUDGET = 30.0
PROMISE = 2.0
POLL = 0.05
#: seconds after which a closed gate is tried again at the latest
LONGEST_HOLD = 60.0


class HealthDrain(models.AbstractModel):
    _inherit = "health.drain"

    # -- dispatch ---------------------------------------------------------------

    @api.model
    def _dispatch_out(self):
        """Give every backend with something to send a job, see ``_cron_dispatch``."""
        for backend in self._with_work_out().filtered(
            lambda each: not each._closed("out")
        ):
            job = self._enqueue_out(backend)
            if job and job.date_created < fields.Datetime.now() - UNTAKEN:
                _logger.info("no job runner: the cron sends to backend %s", backend.id)
                self._drain_out(backend, budget=BUDGET / 2, promise=False)

    @api.model
    def _with_work_out(self):
        """Backends with something to send that no drain has promised to look at."""
        self.env.cr.execute(out_work.WITH_WORK)
        ids = [row[0] for row in self.env.cr.fetchall()]
        return self.env["health.backend"].browse(ids)

    @api.model
    def _enqueue_out(self, backend):
        """Enqueue an outbound job unless one waits already.

        :return: the waiting ``queue.job`` record, if there was one
        """
        job = self.with_delay(
            identity_key=f"health.drain.out:{backend.id}",
            description=f"Send to backend {backend.id}",
            priority=5,
        )._drain_out_job(backend.id)
        return job if isinstance(job, models.BaseModel) else None

    @api.model
    def _drain_out_job(self, backend_id):
        """Queue job: send what waits for one backend. Carries an id only."""
        backend = self.env["health.backend"].browse(backend_id).exists()
        if backend and self._drain_out(backend):
            self._enqueue_out(backend)

    # -- the loop ---------------------------------------------------------------

    @api.model
    def _drain_out(self, backend, budget=BUDGET, promise=True):
        """Send until nothing is left and the promise has ended, the budget has, or the
        gate is closed.

        :return: True when the budget ended first and work may be left
        """
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        clock = time.monotonic
        deadline, promised, worked = clock() + budget, 0.0, 1
        self._expire_out(backend)
        while (looked := clock()) < deadline:
            if promise and worked and promised - looked < PROMISE / 2:
                promised = self._promise_out(backend, PROMISE)
            worked, permit = self._slice_out(backend, owner, deadline)
            if permit is not None and not permit.allowed:
                self._hold_off(backend, permit, promise)
                return False
            if not worked:
                if looked >= promised:
                    return False
                time.sleep(POLL)
        if promise:
            self._promise_out(backend, 0.0)
        return True

    @api.model
    def _slice_out(self, backend, owner, deadline):
        """Claim some heads, build them together, call for each by itself.

        :return: how many were claimed, and the gate's last answer
        """
        ids = self._claim_out(backend, owner)
        if not ids:
            return 0, None
        permit = self.env["health.delivery"]._deliver(backend, ids, owner, deadline)
        return len(ids), permit

    @api.model
    def _promise_out(self, backend, seconds):
        """Publish until when nobody needs to wake this drain."""
        with transaction(self.env) as env:
            env.cr.execute(out_work.PROMISE, [seconds, backend.id])
        return time.monotonic() + seconds

    @api.model
    def _hold_off(self, backend, permit, promise):
        """The gate is closed: look again when it says so, and not for each message
        that comes until then."""
        if not promise:
            return
        now = fields.Datetime.now()
        wait = LONGEST_HOLD
        if permit.until:
            wait = min(max((permit.until - now).total_seconds(), 0.0), LONGEST_HOLD)
        self._promise_out(backend, wait)
        with transaction(self.env) as env:
            cron = env.ref("health_connector.cron_dispatch")
            cron._trigger(at=now + timedelta(seconds=wait + 1))

    # -- claim ------------------------------------------------------------------

    @api.model
    def _claim_out(self, backend, owner, limit=BATCH):
        """Claim heads of order keys, and calls in doubt that are due."""
        try:
            with transaction(self.env) as env:
                current = env["health.backend"].browse(backend.id)
                if current._closed("out"):
                    return []
                live = env["health.interface"].search(
                    [
                        ("backend_id", "=", backend.id),
                        ("state", "=", "live"),
                        ("direction", "=", "out"),
                    ]
                )
                values = {
                    "backend": backend.id,
                    "interfaces": live.ids,
                    "limit": limit,
                    "owner": owner,
                    "lease": LEASE,
                    "behind": states.BEHIND,
                }
                env.cr.execute(out_work.CLAIM, values)
                claimed = [row[0] for row in env.cr.fetchall()]
                if len(claimed) < limit:
                    env.cr.execute(out_work.SET_BACK, {**values, "limit": 1000})
                return claimed
        except DATABASE_CONFLICTS:
            return []

    @api.model
    def _expire_out(self, backend):
        """A lease that ended means a worker died over it. Before the intent that is a
        failed try; after it the call may have arrived, and is in doubt."""
        failure = Failure("drain.lease_ended", TRANSIENT)
        with transaction(self.env) as env:
            env.cr.execute(out_work.ENDED_LEASES, [backend.id, 200])
            rows = env.cr.fetchall()
            doubted = [row[0] for row in rows if row[1]]
            failed = [row[0] for row in rows if not row[1]]
            env["health.delivery"]._doubt(doubted, failure.code, "lease", wait=False)
            env["health.failure"]._record(
                dict.fromkeys(failed, (failure, "lease", 0.0))
            )
