"""May a call be made now, and what became of it: pause, windows, breaker, limits."""

import logging
import os
import socket
import threading
from datetime import timedelta

import psycopg2

from odoo import api, fields, models

from ..lib import breaker as breakers, gate as gates
from ..lib.gate import Permit
from ..lib.transport import DELIVERED, ERROR_CLASS
from .work import DATABASE_CONFLICTS, transaction

_logger = logging.getLogger(__name__)

#: each round lost means that another caller had its turn
_ROUNDS = 200

__all__ = ["HealthGate", "Permit"]


class HealthGate(models.AbstractModel):
    """Asked before each outbound call and told its outcome. Each method works in a
    short transaction of its own, never in the caller's; all processes and nodes share
    what they leave behind. No fields, nothing over RPC."""

    _name = "health.gate"
    _description = "Gate"

    @api.model
    def _permit(self, backend):
        """May one call to this backend be made now? Takes what it grants: a place, and
        a token of the rate. :meth:`_report` gives the place back; so does its lease.

        Nothing is granted to an archived backend, while its outbound side is paused or
        inside a maintenance window.
        """

        def decide(current, gate, now):
            if closed := current._closed("out", now):
                return gate, closed, None
            gate, permit = gates.permit(gate, current._limits(), now, _caller())
            return gate, permit, "pause_over"

        soon = fields.Datetime.now() + timedelta(seconds=gates.BUSY)
        return self._turn(backend, decide) or Permit(False, soon, "busy")

    @api.model
    def _report(
        self, backend, outcome, ms, probe=False, interface=None, retry_after=None
    ):
        """What a permitted call came to. Never raises for the database: the outcome of
        the message is more important than that of the breaker.

        :param outcome: a word of ``lib.transport.Sent``
        :param probe: as the permit said
        :param interface: whose error policy tells what the outcome means for the
            breaker; without, the shipped policy
        :param retry_after: seconds the partner asked for
        """
        error_class = None if outcome == DELIVERED else ERROR_CLASS[outcome]
        interface_id = interface.id if interface else None

        def decide(current, gate, now):
            policy = current.env["health.interface"].browse(interface_id)._policy()
            effect, limits = policy.effect(error_class), current._limits()
            after = gates.report(
                gate, limits, now, _caller(), effect, ms / 1000, probe, retry_after
            )
            if after.breaker.state == breakers.CLOSED:
                return after, True, "answered"
            return after, True, breakers.reason(gate.breaker, limits.breaker, effect)

        self._tell(backend, decide)

    @api.model
    def _leave(self, backend, probe=False):
        """A permit is given back unused. Never raises for the database."""

        def decide(current, gate, now):
            return gates.leave(gate, now, _caller(), probe), True, "unused"

        self._tell(backend, decide)

    @api.model
    def _tell(self, backend, decide):
        try:
            if not self._turn(backend, decide):
                _logger.warning("gate of backend %s: too many callers", backend.id)
        except psycopg2.Error as exc:
            kind = type(exc).__name__
            _logger.warning("gate of backend %s not told: %s", backend.id, kind)

    @api.model
    def _switch(self, backend, target, reason):
        """A person opens or closes the breaker. What a person opened stays open.

        :param target: ``open`` or ``closed``
        """
        user = self.env.user

        def decide(current, gate, now):
            breaker = breakers.Breaker(target)
            gate = gates.Gate(breaker, gate.bucket, gate.calls, None)
            return gate, True, "person"

        self._turn(backend, decide, reason, user)

    @api.model
    def _turn(self, backend, decide, reason=None, user=None):
        """Let ``decide`` change the gate while no other process can.

        The row's lock decides who is first. Who waited for it has an older view of the
        row (REPEATABLE READ) and is refused by the database: it looks again.

        :param decide: (backend, gate, now) → (gate, answer, cause of a move)
        :return: the answer; None when others were faster too often
        """
        for _round in range(_ROUNDS):
            try:
                with transaction(self.env) as env:
                    return self._decide_locked(env, backend, decide, reason, user)
            except DATABASE_CONFLICTS:
                continue
        return None

    @api.model
    def _decide_locked(self, env, backend, decide, reason, user):
        """Lock, decide and store. A place or a token that a power cut takes back is no
        harm, so these wait for no disk; the moves of the breaker do."""
        # no query before the lock: the view of the row begins with it
        env.cr.execute("SET LOCAL synchronous_commit TO off")
        rows = env["health.backend.gate"]
        before, now = rows._lock(backend)
        after, answer, cause = decide(
            env["health.backend"].browse(backend.id), before, now
        )
        if after != before:
            rows._store(backend, after)
        if after.breaker.state != before.breaker.state:
            env.cr.execute("SET LOCAL synchronous_commit TO on")
            states = (before.breaker.state, after.breaker.state)
            rows._changed(backend, *states, cause, now, reason, user)
        return answer


def _caller():
    """Who holds a place: one call at a time for each thread."""
    return f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
