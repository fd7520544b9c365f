"""Delivery: what is done with a claimed outbound message (design §2).

1. *build*: document, contract, encoding                              own transaction
2. *intent*: the bytes sealed, the call committed to                  own transaction
   *call*: the gate, then the partner                                 no transaction
3. *outcome*: done, another try, a person, or in doubt                own transaction

A kill between 2 and 3 leaves a message in doubt, never one that is sent again as if
nothing had happened. Each message has its own 2 and 3, so that a kill loses at most
one answer.
"""

import logging
import time
from dataclasses import replace
from datetime import timedelta

from odoo import api, fields, models

from ..lib import states, transport
from ..lib.errors import TRANSIENT, Failure, HealthError
from ..lib.transport import Sent
from . import out_work
from .out_work import hold_out
from .work import DATABASE_CONFLICTS, describe, transaction

_logger = logging.getLogger(__name__)
#: seconds of waiting for the gate that are spent in place
_SHORT_WAIT = 1.0
#: how often a step is tried again when the database reports a conflict; seconds
_CONFLICT_ROUNDS, _CONFLICT_PAUSE = 5, 0.05
#: seconds for all that is not the call itself
_LEASE_MARGIN = 30.0


class HealthDelivery(models.AbstractModel):
    """Delivers claimed messages. No fields, nothing over RPC."""

    _name = "health.delivery"
    _description = "Delivery"

    @api.model
    def _deliver(self, backend, ids, owner, deadline):
        """Build a slice, then call for one message after the other.

        :param deadline: monotonic; what has not had its turn then goes back in line
        :return: the gate's last answer, None when it was not asked
        """
        permit = None
        try:
            works = self.env["health.outgoing"]._build(ids, owner)
        except DATABASE_CONFLICTS:
            self._insist(self._give_back, ids, owner, permit)
            return None
        while works:
            permit = self._permitted(backend, deadline)
            if permit is None or not permit.allowed:
                left = [work.id for work in works]
                self._insist(self._give_back, left, owner, permit)
                break
            self._deliver_one(backend, works, owner, permit)
            works = works[1:]
        return permit

    @api.model
    def _permitted(self, backend, deadline):
        """Ask the gate; a short wait is waited for.

        :return: None when the time is up
        """
        while time.monotonic() < deadline:
            permit = self.env["health.gate"]._permit(backend)
            if permit.allowed or not permit.until:
                return permit
            wait = (permit.until - fields.Datetime.now()).total_seconds()
            if wait > _SHORT_WAIT:
                return permit
            time.sleep(max(wait, 0.01))
        return None

    @api.model
    def _insist(self, step, *arguments):
        """A step that is a transaction of its own, again while the database has
        conflicts: what is known of a call must not get lost over one."""
        for _round in range(_CONFLICT_ROUNDS):
            try:
                return step(*arguments)
            except DATABASE_CONFLICTS:
                time.sleep(_CONFLICT_PAUSE)
        return step(*arguments)

    @api.model
    def _give_back(self, ids, owner, permit):
        """Back in line, the try not counted: nothing was tried."""
        due = fields.Datetime.now()
        if permit is not None:
            due = permit.until or due + timedelta(minutes=1)
        rows = {True: {}, False: {}}
        with transaction(self.env) as env:
            for work in hold_out(env, ids, owner):
                rows[work.in_doubt][work.id] = {
                    "tries": work.tries - 1,
                    "next_try_at": due,
                    "lease_owner": None,
                }
            env["health.message"]._transition(states.WAITING, rows[False])
            env["health.message"]._transition(states.UNKNOWN, rows[True])

    @api.model
    def _deliver_one(self, backend, works, owner, permit):
        """Intent, call and outcome of the first of ``works``."""
        work = works[0]
        answer = transport.NOT_DELIVERED
        if work.in_doubt:
            answer = self.env["health.probe"]._ask(backend, work)
        if answer == transport.DELIVERED:
            self.env["health.gate"]._leave(backend, permit.probe)
            found = Sent(transport.DELIVERED, "outbound.found")
            self._insist(self._conclude, work, found, owner)
        elif answer != transport.NOT_DELIVERED and not work.interface.repeat_safe:
            self.env["health.gate"]._leave(backend, permit.probe)
            self._insist(self._still_in_doubt, work, owner, answer is not None)
        elif self._insist(self._commit_intent, backend, works, owner):
            sent = self._call(backend, work)
            self._report(backend, work, sent, permit)
            self._insist(self._conclude, work, sent, owner, permit.probe)
        else:
            self.env["health.gate"]._leave(backend, permit.probe)

    @api.model
    def _report(self, backend, work, sent, permit):
        """Tell the gate. A call that could not begin says nothing of the partner."""
        gate, flow = self.env["health.gate"], work.interface
        if permit.probe or not work.failure:
            told = sent.retry_after
            gate._report(backend, sent.outcome, sent.ms, permit.probe, flow, told)
        else:
            gate._leave(backend)

    @api.model
    def _still_in_doubt(self, work, owner, ask):
        with transaction(self.env) as env:
            if hold_out(env, [work.id], owner):
                env["health.delivery"]._doubt(
                    [work.id], "outbound.still_unknown", "probe", ask=ask
                )

    @api.model
    def _commit_intent(self, backend, works, owner):
        """From this commit on the call may arrive.

        :return: False when another worker took the message over
        """
        with transaction(self.env) as env:
            current = env["health.backend"].browse(backend.id)
            seconds = current.connect_timeout + current.read_timeout
            env.cr.execute(
                out_work.INTENT,
                {
                    "id": works[0].id,
                    "held": [work.id for work in works],
                    "owner": owner,
                    "lease": seconds + _LEASE_MARGIN,
                },
            )
            if works[0].id not in {row[0] for row in env.cr.fetchall()}:
                return False
            env["health.outgoing"]._seal(works[0])
            return True

    @api.model
    def _call(self, backend, work):
        """The call, outside of any transaction.

        A typed error is raised before anything was sent; after any other nobody knows.
        """
        started, plugins = time.monotonic(), self.env["health.plugin"]
        try:
            plugin = plugins._get("transport", work.interface.transport)
            return plugin._send(backend, work.interface, work.outgoing)
        except HealthError as exc:
            work.failure = describe(exc)
            return Sent(transport.NOT_DELIVERED, exc.code)
        except Exception as exc:
            failure = describe(exc)
            text = "message %s: the transport failed: %s at\n%s"
            _logger.error(text, work.id, failure.code, failure.trace)
            ms = (time.monotonic() - started) * 1000
            return Sent(transport.UNKNOWN, failure.code, ms=ms)

    # -- 3. outcome -------------------------------------------------------------

    @api.model
    def _conclude(self, work, sent, owner, is_probe=False):
        """Write down what is known now, in a transaction of its own.

        :param is_probe: a breaker's probe; its failure is not the message's
        """
        with transaction(self.env) as env:
            if not hold_out(env, [work.id], owner):
                _logger.warning("message %s was taken over during its call", work.id)
                return
            delivery = env["health.delivery"]
            delivery._keep_answer(work, sent)
            if sent.outcome == transport.DELIVERED:
                delivery._finish(work, sent)
            elif sent.outcome == transport.UNKNOWN:
                delivery._doubt([work.id], sent.code, "send", sent.ms)
            else:
                delivery._forget_intent(work)
                failure = replace(work.failure or sent.failure, counted=not is_probe)
                env["health.failure"]._record({work.id: (failure, "send", sent.ms)})

    @api.model
    def _keep_answer(self, work, sent):
        if sent.answer:
            kept = (work.uid, sent.answer, sent.answer_type)
            self.env["health.payload"]._store("answer", {work.id: kept})

    @api.model
    def _forget_intent(self, work):
        """It is known not to have arrived: the next try is no repetition."""
        self.env.cr.execute(
            "UPDATE health_message SET intent_at = NULL WHERE id = %s", [work.id]
        )

    @api.model
    def _finish(self, work, sent):
        taken = self.env["health.outgoing"]._bind(work, sent)
        self.env["health.message"]._transition(
            states.DONE,
            {work.id: {"error_class": None, "error_code": None, "lease_owner": None}},
        )
        self._attempted(
            work.id, work.tries, "send", "done", taken or sent.code, sent.ms
        )
        self.env["health.exception"].browse(work.exception_id)._close_when_clear()

    @api.model
    def _doubt(self, ids, code, step, ms=0.0, wait=True, ask=True):
        """Calls that may have arrived: ask again later, or let a person decide when
        the budget is used up or there is nobody to ask. Rows locked by the caller.

        :param wait: False to ask at once
        :param ask: False when there is no way to find out
        """
        rows, now = {}, fields.Datetime.now()
        for message in self.env["health.message"].browse(ids):
            interface = message.interface_id
            since = message.failing_since or now
            age = (now - since).total_seconds()
            delay = interface._policy().decide(TRANSIENT, message.tries, age)
            row = rows[message.id] = {
                "error_class": TRANSIENT,
                "error_code": code,
                "failing_since": since,
                "lease_owner": None,
                "next_try_at": now + timedelta(seconds=delay if wait else 0)
                if ask and delay is not None
                else None,
                "exception_id": message.exception_id.id or None,
            }
            if row["next_try_at"] is None:
                cause = Failure("outbound.in_doubt", TRANSIENT)
                row["exception_id"] = self.env["health.exception"]._record(
                    interface, cause, now
                )
            self._attempted(message.id, message.tries, step, "unknown", code, ms)
        self.env["health.message"]._transition(states.UNKNOWN, rows)
        due = [row["next_try_at"] for row in rows.values() if row["next_try_at"]]
        if due:
            self.env.ref("health_connector.cron_dispatch")._trigger(at=min(due))

    @api.model
    def _attempted(self, message_id, tries, step, outcome, code, ms):
        attempt = {
            "message_id": message_id,
            "number": tries,
            "step": step,
            "started_at": fields.Datetime.now(),
            "duration_ms": ms,
            "outcome": outcome,
            "code": code or None,
        }
        self.env["health.attempt"]._append([attempt])
