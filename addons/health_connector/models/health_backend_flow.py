"""Whether traffic of a backend flows: windows, breaker, limits, and all in words."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_datetime

from ..lib.breaker import CLOSED, OPEN, Settings
from ..lib.gate import Limits, Permit
from ..lib.limiter import Rate
from ..lib.window import open_until
from .health_backend_pause import DIRECTIONS, PAUSE_FIELDS

#: seconds beyond a backend's timeouts before a call that says nothing is given up
_LEASE_MARGIN = 30.0


class HealthBackend(models.Model):
    """Flow control of a backend. What calls leave behind is in ``health.backend.gate``,
    who decided what in ``health.backend.event``."""

    _inherit = "health.backend"  # pylint: disable=consider-merging-classes-inherited

    window_ids = fields.One2many("health.backend.window", "backend_id")
    # -- limits of outbound calls
    rate_out = fields.Float(
        string="Calls per second", help="To this system, by all workers. 0: no limit."
    )
    rate_out_burst = fields.Integer(
        string="Burst", default=1, help="Calls that a quiet time may save up."
    )
    max_calls = fields.Integer(
        string="Calls at once",
        default=4,
        help="At the same time, by all workers. 0: no limit.",
    )
    # -- breaker
    breaker_failures = fields.Integer(
        string="Failures in a row", default=5, help="So many open it. 0: never."
    )
    breaker_slow_calls = fields.Integer(
        string="Slow calls in a row", default=10, help="So many open it. 0: never."
    )
    breaker_slow_seconds = fields.Float(
        string="Slow from", default=10.0, help="Seconds from which a call is slow."
    )
    breaker_pause = fields.Float(
        string="First pause",
        default=30.0,
        help="Seconds until one call probes whether the system works again; doubles "
        "with each probe that fails.",
    )
    breaker_pause_cap = fields.Float(
        string="Longest pause", default=900.0, help="Seconds."
    )
    gate_ids = fields.One2many("health.backend.gate", "backend_id", readonly=True)
    event_ids = fields.One2many("health.backend.event", "backend_id", readonly=True)
    breaker_state = fields.Selection(
        related="gate_ids.breaker", string="Breaker", readonly=True
    )
    flow_text = fields.Text(
        string="What is held up", compute="_compute_flow_text", compute_sudo=True
    )

    _flow_figures_sound = models.Constraint(
        """CHECK (rate_out >= 0 AND rate_out_burst >= 1 AND max_calls >= 0
              AND breaker_failures >= 0 AND breaker_slow_calls >= 0
              AND breaker_slow_seconds > 0 AND breaker_pause > 0
              AND breaker_pause_cap >= breaker_pause)""",
        "Limits are not negative, a burst is at least 1, and the breaker's longest "
        "pause is no shorter than its first.",
    )

    # -- what the gate asks -----------------------------------------------------

    def _limits(self):
        """The configured limits as ``lib.gate.Limits``."""
        lease = self.connect_timeout + self.read_timeout + _LEASE_MARGIN
        settings = Settings(
            failures=self.breaker_failures,
            slow_calls=self.breaker_slow_calls,
            slow_seconds=self.breaker_slow_seconds,
            pause=self.breaker_pause,
            pause_cap=self.breaker_pause_cap,
            probe_lease=lease,
        )
        rate = Rate(self.rate_out, self.rate_out_burst) if self.rate_out else None
        return Limits(settings, rate, self.max_calls, lease)

    def _closed(self, direction, now=None):
        """Whether people or a maintenance window hold up a direction now. Accepting
        goes on in any case.

        :return: a ``Permit`` that refuses, with the reason and the end; None when open
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        if not self.active:
            return Permit(False, None, "inactive")
        paused, _reason, until, _by = (self[name] for name in PAUSE_FIELDS[direction])
        if paused and (not until or now < until):
            return Permit(False, until or None, "paused")
        windows = self.window_ids
        if direction == "in":
            windows = windows.filtered("hold_in")
        end = windows and open_until([each._pure() for each in windows], now)
        return Permit(False, end, "window") if end else None

    # -- breaker ----------------------------------------------------------------

    def _switch_breaker(self, target, reason):
        """Open or close the breaker by hand. What a person opened, a person closes.

        :param target: ``open`` or ``closed``
        :param reason: the person's words, required
        """
        self._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the breaker is switched."))
        for backend in self:
            self.env["health.gate"]._switch(backend, target, reason.strip())
            if target == CLOSED:
                backend.sudo()._let_flow("out")
        self.env["health.backend.gate"].invalidate_model()

    # -- in words ---------------------------------------------------------------

    @api.depends(
        "paused_in",
        "paused_out",
        "pause_in_until",
        "pause_out_until",
        "gate_ids.breaker",
        "gate_ids.until",
        "window_ids.active",
    )
    @api.depends_context("lang", "tz")
    def _compute_flow_text(self):
        for backend in self:
            lines = [backend._pause_text(direction) for direction in DIRECTIONS]
            lines += [backend._window_text(), backend._breaker_text()]
            backend.flow_text = "\n".join(filter(None, lines))

    def _pause_text(self, direction):
        paused, why, until, by = (self[name] for name in PAUSE_FIELDS[direction])
        if not paused:
            return ""
        values = {
            "user": by.name or self.env._("the system"),
            "until": format_datetime(self.env, until) if until else "",
            "reason": why or "–",
        }
        if direction == "in" and until:
            return self.env._(
                "Inbound paused by %(user)s until %(until)s: %(reason)s", **values
            )
        if direction == "in":
            return self.env._("Inbound paused by %(user)s: %(reason)s", **values)
        if until:
            return self.env._(
                "Outbound paused by %(user)s until %(until)s: %(reason)s", **values
            )
        return self.env._("Outbound paused by %(user)s: %(reason)s", **values)

    def _window_text(self):
        now = fields.Datetime.now()
        open_now = self.window_ids.filtered(lambda each: each._pure().until(now))
        if not open_now:
            return ""
        end = open_until([each._pure() for each in self.window_ids], now)
        return self.env._(
            "Maintenance window until %(until)s: %(name)s",
            until=format_datetime(self.env, end),
            name=", ".join(each.name or "–" for each in open_now),
        )

    def _breaker_text(self):
        gate = self.gate_ids[:1]
        if not gate or gate.breaker == CLOSED:
            return ""
        since = format_datetime(self.env, gate.since) if gate.since else "–"
        cause = dict(gate._fields["cause"]._description_selection(self.env))
        values = {"since": since, "cause": cause.get(gate.cause, "–")}
        if gate.breaker != OPEN:
            return self.env._("Breaker half open since %(since)s: one probe", **values)
        if not gate.until:
            return self.env._(
                "Breaker opened by hand on %(since)s; a person closes it", **values
            )
        return self.env._(
            "Breaker open since %(since)s (%(cause)s); next probe at %(until)s",
            until=format_datetime(self.env, gate.until),
            **values,
        )
