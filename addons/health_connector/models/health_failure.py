"""What becomes of a failed try: another one by policy, or an exception for staff."""

import json
import random
import time
from datetime import timedelta

from odoo import api, fields, models

from ..lib import states
from ..lib.errors import AUTH
from .work import DATABASE_CONFLICTS, hold, transaction

#: seconds, at most, before a record is tried again that met another one
_CONFLICT_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.0)


class HealthFailure(models.AbstractModel):
    """Records failures outside the transaction that failed. No fields."""

    _name = "health.failure"
    _description = "Failure record"

    @api.model
    def _record_failures(self, failed, owner):
        """Write down failures in a transaction of their own, again when another worker
        was writing down the same cause at the same moment."""
        for pause in (*_CONFLICT_PAUSES, None) if failed else ():
            try:
                return self._record_held({row[0]: row[1:] for row in failed}, owner)
            except DATABASE_CONFLICTS:
                if pause is None:
                    raise
                time.sleep(random.uniform(0, pause))

    @api.model
    def _record_held(self, failed, owner):
        with transaction(self.env) as env:
            held = [work.id for work in hold(env, list(failed), owner)]
            env["health.failure"]._record({each: failed[each] for each in held})

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
            delay, tries = self._decide(message, failure, now)
            evidence = {
                "error_class": failure.error_class,
                "error_code": failure.code,
                "failing_since": message.failing_since or now,
                "tries": tries,
                "lease_owner": None,
            }
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
    def _decide(self, message, failure, now):
        """What the policy of the message's interface makes of a failure.

        :return: seconds until the next try or None, and the tries that count
        """
        policy, told = message.interface_id._policy(), failure.retry_after
        counted = failure.counted and policy.counts_try(failure.error_class, told)
        tries = message.tries if counted else message.tries - 1
        age = (now - (message.failing_since or now)).total_seconds()
        if failure.error_class != AUTH:
            return policy.decide(failure.error_class, tries, age, told), tries
        return self._decide_auth(policy, message, age, told), tries

    @api.model
    def _decide_auth(self, policy, message, age, told):
        """Refused credentials are tried again only with new ones; how often is counted
        from the first refusal, not from the first try."""
        refused = 2 if message.error_class == AUTH and message.tries > 1 else 1
        delay = policy.decide(AUTH, refused, age, told)
        if delay is None or not message.backend_id._drop_token():
            return None
        return delay

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
