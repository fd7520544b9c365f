"""People hold up the traffic of a backend, with a reason and perhaps an end."""

import logging

import psycopg2

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from ..lib import states
from .work import DATABASE_CONFLICTS, transaction

_logger = logging.getLogger(__name__)

DIRECTIONS = ("in", "out")
PAUSE_FIELDS = {
    "in": ("paused_in", "pause_reason", "pause_in_until", "pause_in_by_id"),
    "out": ("paused_out", "pause_out_reason", "pause_out_until", "pause_out_by_id"),
}

# what the gate or a retry let wait is due; what waits behind another is not
_DUE_NOW = """
UPDATE health_message SET next_try_at = now() AT TIME ZONE 'UTC'
 WHERE backend_id = ANY(%s) AND direction = %s AND state = 'waiting'
   AND next_try_at > now() AT TIME ZONE 'UTC' AND next_try_at < %s
"""
# the promise of a drain that waits for a closed gate holds no longer
_FORGET = "UPDATE health_backend_state SET {} = NULL WHERE backend_id = ANY(%s)"
_FORGET_PROMISE = {
    "in": _FORGET.format("drain_until"),
    "out": _FORGET.format("out_until"),
}


class HealthBackend(models.Model):
    """The pause switch of each direction. Accepting goes on; what is accepted waits."""

    _inherit = "health.backend"  # pylint: disable=consider-merging-classes-inherited

    paused_in = fields.Boolean(
        string="Inbound paused",
        copy=False,
        help="Messages are still accepted and stored, but not applied.",
    )
    pause_reason = fields.Char(string="Inbound paused because", copy=False)
    pause_in_until = fields.Datetime(
        string="Inbound pause ends", copy=False, help="Empty: when a person resumes."
    )
    pause_in_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    paused_out = fields.Boolean(
        string="Outbound paused",
        copy=False,
        help="Messages are written, but not sent.",
    )
    pause_out_reason = fields.Char(string="Outbound paused because", copy=False)
    pause_out_until = fields.Datetime(
        string="Outbound pause ends", copy=False, help="Empty: when a person resumes."
    )
    pause_out_by_id = fields.Many2one("res.users", readonly=True, copy=False)

    def _pause(self, directions, reason, until=None):
        """Hold up directions until a person resumes or ``until`` is reached.

        :param directions: of ``in`` and ``out``
        :param reason: the person's words, required
        :param until: naive UTC, in the future
        """
        self._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the traffic is paused."))
        if until and until <= fields.Datetime.now():
            raise UserError(self.env._("The pause must end in the future."))
        values = {}
        for direction in directions:
            paused, why, end, _by = PAUSE_FIELDS[direction]
            values |= {paused: True, why: reason.strip(), end: until or False}
        self.sudo().write(values)

    def action_resume(self):
        """Let both directions flow again, and try at once what waited."""
        self._check_operator()
        self.sudo().write({"paused_in": False, "paused_out": False})

    @api.model_create_multi
    def create(self, vals_list):
        backends = super().create(vals_list)
        for backend in backends:
            for direction in DIRECTIONS:
                backend._note_pause(direction, False)
        return backends

    def write(self, vals):
        """Every change of a pause leaves an event; a person has to say why."""
        switched = [
            direction
            for direction in DIRECTIONS
            if set(vals) & set(PAUSE_FIELDS[direction][:3])
        ]
        before = {
            (backend, direction): backend[PAUSE_FIELDS[direction][0]]
            for direction in switched
            for backend in self
        }
        result = super().write(vals)
        if self.env.context.get("health_pause_noted"):
            return result
        for (backend, direction), paused in before.items():
            backend._note_pause(direction, paused)
        return result

    def _note_pause(self, direction, before):
        """Evidence of a pause or its end, with the end's traces removed."""
        paused, why, until, by = PAUSE_FIELDS[direction]
        if not (before or self[paused]):
            return
        if self[paused] and not self[why] and not self.env.su:
            raise UserError(self.env._("Say why the traffic is paused."))
        ended = self.env.context.get("health_pause_ended")
        user = self.env["res.users"] if ended else self.env.user
        self.env["health.backend.event"]._append(
            self,
            f"pause_{direction}",
            "paused" if before else "running",
            "paused" if self[paused] else "running",
            "ended" if ended else "person",
            self[why] if self[paused] else None,
            user,
            self[until] if self[paused] else None,
        )
        noted = self.with_context(health_pause_noted=True)
        if self[paused]:
            noted.write({by: user.id})
            if self[until]:
                self.env.ref("health_connector.cron_dispatch")._trigger(at=self[until])
        else:
            noted.write({why: False, until: False, by: False})
            self._let_flow(direction)

    @api.model
    def _end_pauses(self):
        """Dispatch: pauses whose end time has come are over. Own transaction; another
        process may have been faster."""
        try:
            with transaction(self.env) as env:
                now = fields.Datetime.now()
                backends = env["health.backend"].with_context(health_pause_ended=True)
                for direction in DIRECTIONS:
                    paused, _why, until, _by = PAUSE_FIELDS[direction]
                    backends.search([(paused, "=", True), (until, "<=", now)]).write(
                        {paused: False}
                    )
        except DATABASE_CONFLICTS:
            return

    def _let_flow(self, direction):
        """What the gate held up is due now, and somebody looks for it."""
        self.env.cr.execute(_DUE_NOW, [self.ids, direction, states.BEHIND])
        self.env["health.message"].invalidate_model(["next_try_at"])
        registry, ids = self.env.registry, self.ids
        self.env.cr.postcommit.add(lambda: _look_again(registry, ids, direction))

    def _check_operator(self):
        self.check_access("read")
        if not self.env.user.has_group("health_base.group_operator"):
            raise UserError(
                self.env._("Only operators of the integrations may do this.")
            )


def _look_again(registry, backend_ids, direction):
    """After the commit: dispatch at once. A failure costs latency only, the cron sweeps
    every minute."""
    try:
        with registry.cursor() as cr:
            cr.execute(_FORGET_PROMISE[direction], [backend_ids])
            env = api.Environment(cr, SUPERUSER_ID, {})
            env.ref("health_connector.cron_dispatch")._trigger()
    except psycopg2.Error as exc:
        _logger.warning("waking the drain failed: %s", type(exc).__name__)
