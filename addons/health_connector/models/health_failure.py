"""What becomes of a failed try: another one by policy, or an exception for staff."""

import json
from datetime import timedelta

from odoo import api, fields, models

from ..lib import states
from .work import hold, transaction


class HealthFailure(models.AbstractModel):
    """Records failures outside the transaction that failed. No fields."""

    _name = "health.failure"
    _description = "Failure record"

    @api.model
    def _record_failures(self, failed, owner):
        """Write down failures in a transaction of their own."""
        if not failed:
            return
        with transaction(self.env) as env:
            held = {work.id for work in hold(env, [row[0] for row in failed], owner)}
            env["health.failure"]._record(
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
