"""The drain: claims messages of one backend in batches and applies them.

Three transactions per batch, each on a cursor of its own (design §2 and §6):

1. *claim*: heads of order keys, ``FOR UPDATE SKIP LOCKED``, with a lease and the
   try counted, committed, so that a crash in the middle is seen as a lease that ends;
2. *apply*: each message in a savepoint; effect, bindings, attempt and the state
   ``done`` commit together;
3. *record*: failures of that batch, outside the transaction that failed.
"""

import json
import logging
import os
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg2
import psycopg2.errors

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from ..lib import states, wake
from ..lib.errors import (
    CONFLICT,
    REJECTED,
    TRANSIENT,
    Failure,
    HealthError,
    failure_of,
    places,
)
from ..lib.mapping import resolve
from .health_handler import Exchange

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
#: database conflicts are the database's business and no try of the message
_CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
)
_CONFLICT_ROUNDS = 5

_OPEN = "('" + "', '".join(states.OPEN) + "')"
_CLAIMABLE = "('" + "', '".join(states.CLAIMABLE) + "')"
_NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"

# served by health_message_claim_idx and health_message_order_key_idx
_CLAIM = f"""
WITH head AS (
    SELECT m.id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.state IN {_CLAIMABLE}
       AND m.direction = 'in' AND m.next_try_at <= {_NOW}
       AND m.interface_id = ANY(%(interfaces)s)
       AND (m.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL))
     ORDER BY m.priority, m.id
     LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE health_message m
   SET state = 'processing', state_at = {_NOW}, tries = m.tries + 1,
       lease_owner = %(owner)s, lease_until = {_NOW} + %(lease)s * interval '1 second'
  FROM head WHERE m.id = head.id
RETURNING m.id
"""

# served by health_message_lease_idx
_ENDED_LEASES = f"""
SELECT id FROM health_message
 WHERE state = 'processing' AND lease_until < {_NOW} AND backend_id = %s
 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""

_HOLD = """
SELECT id, uid, interface_id, tries, conflict_id, external_ref, exception_id,
       accepted_at
  FROM health_message
 WHERE id = ANY(%s) AND state = 'processing' AND lease_owner = %s
 ORDER BY id FOR UPDATE
"""


def _failure(exc):
    """A failure with Odoo's own refusals told apart from faults."""
    if isinstance(exc, UserError):
        return Failure(f"odoo.{type(exc).__name__}", REJECTED, trace=places(exc))
    if isinstance(exc, psycopg2.IntegrityError):
        constraint = exc.diag.constraint_name or "unknown"
        return Failure("odoo.constraint", CONFLICT, {"constraint": constraint})
    return failure_of(exc)


@dataclass(slots=True)
class _Work:
    """One claimed message in the apply transaction."""

    id: int
    uid: str
    interface: Any
    tries: int
    conflict_id: int | None
    external_ref: str
    exception_id: int | None
    accepted_at: Any
    step: str = "open"
    document: Any = None
    lookups: Any = ()
    failure: Failure | None = None
    outcome: Any = None
    started: float = 0.0
    spent: float = 0.0

    @contextmanager
    def doing(self, step):
        """Time a step; a failure in it is noted, database conflicts pass through."""
        self.step = step
        started = time.perf_counter()
        try:
            yield
        except _CONFLICTS:
            raise
        except Exception as exc:  # every failure becomes evidence
            self.failure = _failure(exc)
            if self.failure.trace:
                _logger.warning(
                    "message %s failed in step %s: %s at\n%s",
                    self.id,
                    step,
                    self.failure.code,
                    self.failure.trace,
                )
        finally:
            self.spent += time.perf_counter() - started


class HealthDrain(models.AbstractModel):
    """Processing of accepted messages. No fields, nothing over RPC."""

    _name = "health.drain"
    _description = "Drain"

    # -- waking and dispatch ----------------------------------------------------

    @api.model
    def _wake_after_commit(self, backend_ids):
        """Wake the drain once this transaction is committed. Never raises."""
        due = _throttle.due((self.env.cr.dbname, each) for each in backend_ids)
        if due:
            registry = self.env.registry
            ids = [backend_id for _dbname, backend_id in due]
            self.env.cr.postcommit.add(lambda: _wake_now(registry, ids))

    @api.model
    def _cron_dispatch(self):
        """Cron: give every backend with work a drain job, unless one is running.

        Where no job runner is alive (its job waits for over a minute), the cron
        drains by itself, within a time budget.
        """
        for backend in self._with_work():
            job = self._enqueue(backend)
            if job and job.date_created < fields.Datetime.now() - timedelta(minutes=1):
                _logger.info("no job runner: the cron drains backend %s", backend.id)
                self._drain(backend, budget=BUDGET / 2, promise=False)
        self.env["ir.cron"]._commit_progress()

    @api.model
    def _with_work(self):
        """Backends with claimable messages or ended leases and no promise."""
        self.env.cr.execute(
            f"""SELECT b.id FROM health_backend b
             LEFT JOIN health_backend_state s ON s.backend_id = b.id
                 WHERE b.active AND NOT COALESCE(b.paused_in, false)
                   AND COALESCE(s.drain_until, {_NOW}) <= {_NOW}
                   AND (EXISTS (SELECT 1 FROM health_message m
                         WHERE m.backend_id = b.id AND m.state IN {_CLAIMABLE}
                           AND m.next_try_at <= {_NOW})
                     OR EXISTS (SELECT 1 FROM health_message m
                         WHERE m.backend_id = b.id AND m.state = 'processing'
                           AND m.lease_until < {_NOW}))
                 ORDER BY b.id"""
        )
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
        with self._unit() as env:
            env.cr.execute(
                f"""UPDATE health_backend_state
                       SET drain_until = {_NOW} + %s * interval '1 second'
                     WHERE backend_id = %s""",
                [seconds, backend.id],
            )
        return time.monotonic() + seconds

    @contextmanager
    def _unit(self):
        """A transaction of its own: commits at the end, rolls back on an error."""
        context = dict(
            self.env.context,
            tracking_disable=True,
            mail_create_nolog=True,
        )
        with self.env.registry.cursor() as cr:
            yield api.Environment(cr, SUPERUSER_ID, context)
        self.env.registry.signal_changes()

    @api.model
    def _drain_slice(self, backend, owner, limit=BATCH):
        """Claim one batch, apply it, record its failures.

        :return: how many messages were claimed
        """
        ids = self._claim(backend, owner, limit)
        if ids:
            failed = self._apply_claimed(ids, owner)
            self._record_failures(failed, owner)
        return len(ids)

    # -- 1. claim ---------------------------------------------------------------

    @api.model
    def _claim(self, backend, owner, limit=BATCH):
        """Claim heads of order keys. Another worker's claim at the same moment may
        cost this one its turn, never the message."""
        try:
            with self._unit() as env:
                current = env["health.backend"].browse(backend.id)
                if not current.active or current.paused_in:
                    return []
                live = env["health.interface"].search(
                    [("backend_id", "=", backend.id), ("state", "=", "live")]
                )
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
                return sorted(row[0] for row in env.cr.fetchall())
        except _CONFLICTS:
            return []

    @api.model
    def _expire(self, backend):
        """A lease that ended means a worker died over it: count that as a failure."""
        failure = Failure("drain.lease_ended", TRANSIENT)
        with self._unit() as env:
            env.cr.execute(_ENDED_LEASES, [backend.id, BATCH])
            ids = [row[0] for row in env.cr.fetchall()]
            env["health.drain"]._record(dict.fromkeys(ids, (failure, "lease", 0.0)))

    # -- 2. apply ---------------------------------------------------------------

    @api.model
    def _apply_claimed(self, ids, owner):
        """Apply a batch; if the database refuses the batch, its messages one by one.

        :return: works that failed
        """
        try:
            return self._apply_batch(ids, owner)
        except Exception as exc:
            if not isinstance(exc, _CONFLICTS):
                _logger.warning(
                    "a batch of %s was refused by the database (%s): one by one",
                    len(ids),
                    type(exc).__name__,
                )
        failed = []
        for message_id in ids:
            failed += self._apply_alone(message_id, owner)
        return failed

    @api.model
    def _apply_alone(self, message_id, owner):
        """Apply one message in its own transaction; conflicts are tried again."""
        for _round in range(_CONFLICT_ROUNDS):
            try:
                return self._apply_batch([message_id], owner)
            except _CONFLICTS:
                time.sleep(POLL)
            except Exception as exc:
                return [(message_id, _failure(exc), "commit", 0.0)]
        self._give_back(message_id, owner)
        return []

    @api.model
    def _give_back(self, message_id, owner):
        """The database had too many conflicts: back in line, the try not counted."""
        with self._unit() as env:
            env.cr.execute(
                f"""UPDATE health_message
                       SET state = 'pending', tries = tries - 1,
                           next_try_at = {_NOW} + interval '1 second'
                     WHERE id = %s AND state = 'processing' AND lease_owner = %s""",
                [message_id, owner],
            )

    @api.model
    def _apply_batch(self, ids, owner):
        """Apply messages in one transaction and commit it.

        :return: list of (message id, Failure, step, milliseconds)
        """
        with self._unit() as env:
            drain = env["health.drain"]
            works = drain._hold(ids, owner)
            for interface, group in drain._by_interface(works):
                drain._read(interface, group)
                drain._apply_group(interface, group)
            drain._finish([work for work in works if work.failure is None])
        return [
            (work.id, work.failure, work.step, work.spent * 1000)
            for work in works
            if work.failure is not None
        ]

    @api.model
    def _hold(self, ids, owner):
        """Lock what we still own; what another worker took over is left to it."""
        self.env.cr.execute(_HOLD, [list(ids), owner])
        interfaces = self.env["health.interface"]
        return [
            _Work(row[0], row[1], interfaces.browse(row[2]), *row[3:])
            for row in self.env.cr.fetchall()
        ]

    @api.model
    def _by_interface(self, works):
        groups = {}
        for work in works:
            groups.setdefault(work.interface, []).append(work)
        return groups.items()

    @api.model
    def _read(self, interface, works):
        """Open, decode, map, translate and check: bytes to canonical documents."""
        payloads = self.env["health.payload"]._open_raw([work.id for work in works])
        codec = self.env["health.plugin"]._get("codec", interface.codec)
        for work in works:
            with work.doing("accept"):
                self._refuse_conflict(work)
            if work.failure:
                continue
            with work.doing("decode"):
                tree = codec._decode(*payloads[work.id])
            if work.failure:
                continue
            with work.doing("map"):
                result = interface._canonical(tree)
                work.document, work.lookups = result.document, result.lookups
        self._translate(interface, [work for work in works if not work.failure])

    @api.model
    def _refuse_conflict(self, work):
        if work.conflict_id:
            raise HealthError(
                "message.key_reused",
                CONFLICT,
                subject={"reference": work.external_ref, "first": work.conflict_id},
                group=("reference",),
            )

    @api.model
    def _translate(self, interface, works):
        """Translate the codes of all documents with one query, then check each."""
        wanted = {(x.code_map, x.value) for work in works for x in work.lookups}
        table = self.env["health.code.map"]._translate(interface.company_id, wanted)
        contract = interface.contract_id and interface.contract_id._compiled()
        for work in works:
            with work.doing("translate"):
                resolve(work.lookups, table)
            if contract and not work.failure:
                with work.doing("validate"):
                    contract.validate(work.document)

    @api.model
    def _apply_group(self, interface, works):
        """Hand the documents of one interface to its handler, each in a savepoint."""
        ready = [work for work in works if work.failure is None]
        if not ready:
            return
        handler = (
            self.env["health.plugin"]
            ._get("handler", interface.handler)
            .with_company(interface.company_id)
        )
        prefetched = handler._prefetch(interface, [work.document for work in ready])
        for work in ready:
            exchange = Exchange(work.id, interface, work.accepted_at, prefetched)
            with work.doing("apply"), self.env.cr.savepoint():
                work.outcome = handler._apply(work.document, exchange)
                self._bind(interface.backend_id, exchange)
        self._keep_canonical(ready)

    @api.model
    def _bind(self, backend, exchange):
        rows = [(*binding, exchange.message_id) for binding in exchange.bindings]
        self.env["health.binding"]._store(backend, rows)

    @api.model
    def _keep_canonical(self, works):
        """Seal the canonical documents of what was applied."""
        self.env["health.payload"]._store(
            "canonical",
            {
                work.id: (
                    work.uid,
                    json.dumps(work.document, ensure_ascii=False).encode(),
                    "application/json",
                )
                for work in works
                if work.failure is None
            },
        )

    @api.model
    def _finish(self, works):
        """Mark the applied messages and append their attempts."""
        now = fields.Datetime.now()
        done = [work for work in works if not work.outcome.ignored]
        ignored = [work for work in works if work.outcome.ignored]
        message = self.env["health.message"]
        message._transition(states.DONE, {work.id: self._result(work) for work in done})
        message._transition(
            states.IGNORED,
            {
                work.id: {**self._result(work), "reason": work.outcome.ignored}
                for work in ignored
            },
        )
        self.env["health.attempt"]._append(
            {
                "message_id": work.id,
                "number": work.tries,
                "step": work.step,
                "started_at": now,
                "duration_ms": work.spent * 1000,
                "outcome": "ignored" if work.outcome.ignored else "done",
                "code": work.outcome.ignored or None,
            }
            for work in works
        )
        held = {work.exception_id for work in works if work.exception_id}
        self.env["health.exception"].browse(held)._close_when_clear()

    @api.model
    def _result(self, work):
        record = work.outcome.record
        return {
            "res_model": record._name if record else None,
            "res_id": record.id if record else None,
            "error_class": None,
            "error_code": None,
            "lease_owner": None,
        }

    # -- 3. record --------------------------------------------------------------

    @api.model
    def _record_failures(self, failed, owner):
        """Write down failures in a transaction of their own."""
        if not failed:
            return
        with self._unit() as env:
            env.cr.execute(_HOLD, [[row[0] for row in failed], owner])
            held = {row[0] for row in env.cr.fetchall()}
            env["health.drain"]._record(
                {row[0]: tuple(row[1:]) for row in failed if row[0] in held}
            )

    @api.model
    def _record(self, failures):
        """Retry by policy or park under an exception.

        :param failures: {message id: (Failure, step, milliseconds)}; locked by the
            caller's transaction
        """
        now = fields.Datetime.now()
        waiting, parked, attempts = {}, {}, []
        for message in self.env["health.message"].browse(failures):
            failure, step, spent = failures[message.id]
            evidence = {
                "error_class": failure.error_class,
                "error_code": failure.code,
                "lease_owner": None,
            }
            policy = message.interface_id._retry_policy()
            delay = policy.delay(failure.error_class, message.tries)
            if delay is None:
                exception = self.env["health.exception"]._record(
                    message.interface_id, failure, now
                )
                parked[message.id] = {**evidence, "exception_id": exception}
            else:
                due = now + timedelta(seconds=delay)
                waiting[message.id] = {**evidence, "next_try_at": due}
            attempts.append(self._evidence(message, failure, step, spent, now))
        self.env["health.message"]._transition(states.WAITING, waiting)
        self.env["health.message"]._transition(states.PARKED, parked)
        if waiting:
            cron = self.env.ref("health_connector.cron_dispatch")
            cron._trigger(at=min(row["next_try_at"] for row in waiting.values()))
        self.env["health.attempt"]._append(attempts)

    @api.model
    def _evidence(self, message, failure, step, spent, now):
        return {
            "message_id": message.id,
            "number": message.tries,
            "step": step,
            "started_at": now,
            "duration_ms": spent,
            "outcome": failure.error_class,
            "code": failure.code,
            "params": json.dumps(failure.params, default=str),
            "trace": failure.trace or None,
        }


_throttle = wake.Throttle()


def _wake_now(registry, backend_ids):
    """After the commit: ask for a drain in a transaction of its own.

    A failure here costs latency, not the message: the cron sweeps every minute.
    """
    try:
        with registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            if wake.wake(cr, backend_ids):
                cron = env.ref("health_connector.cron_dispatch")
                cr.postcommit.add(cron._notifydb)
    except psycopg2.Error as exc:
        _logger.warning("waking the drain failed: %s", type(exc).__name__)
