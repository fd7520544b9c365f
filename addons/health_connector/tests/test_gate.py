"""The gate: pauses, windows, breaker, limits, and what is left behind of each."""

from datetime import datetime, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..lib.errors import TRANSIENT, HealthError
from ..models import health_gate
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestGate(ConnectorCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = new_test_user(
            cls.env, "gate_operator", "base.group_user,health_base.group_operator"
        )
        cls.viewer = new_test_user(
            cls.env, "gate_viewer", "base.group_user,health_base.group_viewer"
        )

    def permit(self):
        with self.enter_registry_test_mode():
            return self.env["health.gate"]._permit(self.backend)

    def report(self, outcome, ms=5.0, **more):
        with self.enter_registry_test_mode():
            self.env["health.gate"]._report(self.backend, outcome, ms, **more)
        self.env.invalidate_all()

    def call(self, outcome, ms=5.0):
        permit = self.permit()
        if permit.allowed:
            self.report(outcome, ms, probe=permit.probe)
        return permit

    def open_it(self):
        for _each in range(5):
            self.assertTrue(self.call("not_delivered").allowed)
        self.assertEqual(self.gate.breaker, "open")

    def time_passes(self):
        """The breaker's pause, or its probe's lease, is over."""
        self.env.cr.execute(
            """UPDATE health_backend_gate
                  SET until = now() AT TIME ZONE 'UTC' - interval '1 s'"""
        )
        self.env.invalidate_all()

    @property
    def gate(self):
        return self.backend.gate_ids

    def moves(self, kind="breaker"):
        events = self.backend.event_ids.filtered(lambda each: each.kind == kind)
        return [(e.from_state, e.to_state, e.cause) for e in events.sorted("id")]

    def waiting(self, hours=1):
        """An outbound message that waits for its next try."""
        message = self.message(self.accept(self.body()))
        due = fields.Datetime.now() + timedelta(hours=hours)
        self.env.cr.execute(
            """UPDATE health_message SET direction = 'out', state = 'waiting',
                      next_try_at = %s WHERE id = %s""",
            [due, message.id],
        )
        message.invalidate_recordset()
        return message

    # -- breaker ------------------------------------------------------------------

    def test_five_failures_open_it_and_nobody_calls(self):
        self.open_it()
        permit = self.permit()
        self.assertEqual((permit.allowed, permit.reason), (False, "breaker"))
        seconds = (permit.until - fields.Datetime.now()).total_seconds()
        self.assertTrue(13 < seconds <= 31, seconds)
        self.assertEqual(self.moves(), [("closed", "open", "failures")])
        self.assertIn("Breaker open since", self.backend.flow_text)
        self.assertIn("next probe at", self.backend.flow_text)

    def test_one_probe_closes_it(self):
        self.open_it()
        self.time_passes()
        probe = self.permit()
        self.assertTrue(probe.allowed and probe.probe)
        self.assertFalse(self.permit().allowed)
        self.report("rejected", probe=True)
        self.assertEqual(self.gate.breaker, "closed")
        self.assertFalse(self.backend.flow_text)
        self.assertEqual(
            self.moves()[1:],
            [("open", "half_open", "pause_over"), ("half_open", "closed", "answered")],
        )

    def test_a_failed_probe_opens_it_for_longer(self):
        self.open_it()
        self.time_passes()
        self.assertTrue(self.call("unknown").probe)
        self.assertEqual(self.gate.openings, 2)
        self.assertEqual(self.moves()[-1], ("half_open", "open", "probe"))

    def test_a_probe_that_died_is_replaced_after_its_lease(self):
        self.open_it()
        self.time_passes()
        self.assertTrue(self.permit().probe)
        self.assertFalse(self.permit().allowed)
        self.time_passes()
        self.assertTrue(self.permit().probe)

    def test_refused_credentials_open_it_at_once_and_slow_calls_in_the_end(self):
        self.call("auth")
        self.assertEqual(self.moves(), [("closed", "open", "auth")])
        with self.enter_registry_test_mode():
            self.backend._switch_breaker("closed", "renewed")
        for _each in range(10):
            self.call("delivered", ms=10_000)
        self.assertEqual(self.moves()[-1], ("closed", "open", "slow"))

    def test_the_interfaces_policy_decides_what_counts(self):
        self.policy(TRANSIENT, counts_for_breaker=False)
        for _each in range(10):
            self.permit()
            self.report("not_delivered", interface=self.interface)
        self.assertEqual(self.gate.breaker, "closed")

    def test_people_switch_it_with_a_reason(self):
        backend = self.backend.with_user(self.operator)
        with self.enter_registry_test_mode():
            backend._switch_breaker("open", "partner asked us to stop")
        self.env.invalidate_all()
        permit = self.permit()
        self.assertEqual((permit.allowed, permit.until), (False, None))
        event = self.backend.event_ids[:1]
        self.assertEqual(event.user_id, self.operator)
        self.assertEqual(event.reason, "partner asked us to stop")
        self.assertIn("opened by hand", self.backend.flow_text)
        message = self.waiting()
        with self.enter_registry_test_mode():
            backend._switch_breaker("closed", "they are back")
        self.assertTrue(self.permit().allowed)
        self.assertLess(
            (message.next_try_at - fields.Datetime.now()).total_seconds(), 2
        )
        with self.assertRaises(UserError):
            backend._switch_breaker("open", " ")
        with self.assertRaises(UserError):
            self.backend.with_user(self.viewer)._switch_breaker("open", "no")

    def test_an_outcome_is_recorded_even_if_the_gate_cannot_be_told(self):
        with (
            patch.object(
                health_gate,
                "transaction",
                side_effect=health_gate.psycopg2.OperationalError,
            ),
            self.assertLogs(health_gate._logger, "WARNING"),
        ):
            self.env["health.gate"]._report(self.backend, "delivered", 1.0)

    # -- limits -------------------------------------------------------------------

    def test_the_rate_holds_and_says_when(self):
        self.backend.write({"rate_out": 0.5, "rate_out_burst": 2})
        for _each in range(2):
            self.assertTrue(self.call("delivered").allowed)
        permit = self.call("delivered")
        self.assertEqual((permit.allowed, permit.reason), (False, "rate"))
        seconds = (permit.until - fields.Datetime.now()).total_seconds()
        self.assertTrue(0 < seconds <= 3.1, seconds)

    def test_after_an_outage_the_backlog_comes_at_the_rate(self):
        self.backend.write({"rate_out": 0.1, "rate_out_burst": 50})
        self.open_it()
        self.time_passes()
        self.call("delivered")
        self.assertEqual(self.gate.breaker, "closed")
        self.assertTrue(self.call("delivered").allowed)
        self.assertEqual(self.call("delivered").reason, "rate")

    def test_places_are_limited_and_a_dead_caller_frees_its_own(self):
        self.backend.max_calls = 2
        for caller in ("a", "b"):
            with patch.object(health_gate, "_caller", lambda caller=caller: caller):
                self.assertTrue(self.permit().allowed)
        with patch.object(health_gate, "_caller", lambda: "c"):
            self.assertEqual(self.permit().reason, "busy")
            self.env.cr.execute(
                "UPDATE health_backend_gate SET calls = jsonb_set(calls, '{a}', '1')"
            )
            self.assertTrue(self.permit().allowed)
        with patch.object(health_gate, "_caller", lambda: "d"):
            self.assertEqual(self.permit().reason, "busy")
        with patch.object(health_gate, "_caller", lambda: "b"):
            self.report("delivered")
        with patch.object(health_gate, "_caller", lambda: "d"):
            self.assertTrue(self.permit().allowed)

    def test_a_told_time_holds_for_the_whole_backend(self):
        self.permit()
        self.report("throttled", retry_after=120)
        permit = self.permit()
        self.assertEqual((permit.allowed, permit.reason), (False, "told"))
        seconds = (permit.until - fields.Datetime.now()).total_seconds()
        self.assertAlmostEqual(seconds, 120, delta=5)
        self.assertEqual(self.gate.breaker, "closed")

    # -- windows ------------------------------------------------------------------

    def window(self, **values):
        return self.env["health.backend.window"].create(
            {"backend_id": self.backend.id, **values}
        )

    def test_inside_a_window_nothing_is_sent(self):
        now = fields.Datetime.now()
        end = now + timedelta(hours=1)
        window = self.window(
            kind="once", name="upgrade", at_from=now - timedelta(hours=1), at_to=end
        )
        permit = self.permit()
        self.assertEqual((permit.reason, permit.until), ("window", end))
        self.assertIn("Maintenance window until", self.backend.flow_text)
        window.active = False
        self.assertTrue(self.permit().allowed)

    def test_inbound_waits_only_if_the_window_says_so(self):
        self.backend.tz = "Europe/Berlin"
        # Sunday 23:00 to Monday 02:00 in Berlin, in the night the clocks changed
        window = self.window(weekday="6", hour_from=23.0, hour_to=2.0)
        inside = datetime(2026, 3, 29, 23, 30)
        self.assertIsNone(self.backend._closed("in", inside))
        self.assertEqual(
            self.backend._closed("out", inside).until, datetime(2026, 3, 30, 0, 0)
        )
        window.hold_in = True
        self.assertEqual(self.backend._closed("in", inside).reason, "window")
        self.assertIsNone(self.backend._closed("out", datetime(2026, 3, 30, 0, 0)))

    def test_a_window_holds_back_the_inbound_drain(self):
        now = fields.Datetime.now()
        window = self.window(
            kind="once",
            at_from=now - timedelta(hours=1),
            at_to=now + timedelta(hours=1),
            hold_in=True,
        )
        message = self.message(self.accept(self.body()))
        with self.naming([]):
            self.drain()
            self.assertEqual((message.state, message.tries), ("pending", 0))
            window.unlink()
            self.drain()
        self.assertEqual(message.state, "done")

    def test_windows_without_sense_are_refused(self):
        now = fields.Datetime.now()
        for values in (
            {"hour_from": 24.0},
            {"kind": "once"},
            {"kind": "once", "at_from": now, "at_to": now},
        ):
            with self.subTest(**values), self.assertRaises(ValidationError):
                self.window(**values)

    # -- pauses -------------------------------------------------------------------

    def pause(self, direction="out", until=None, reason="their upgrade", user=None):
        with Form(
            self.env["health.backend.pause"]
            .with_user(user or self.operator)
            .with_context(default_backend_id=self.backend.id)
        ) as form:
            form.direction = direction
            form.reason = reason
            form.until = until or False
        form.record.action_pause()
        self.env.invalidate_all()

    def test_a_pause_has_a_reason_and_says_so(self):
        self.pause()
        permit = self.permit()
        self.assertEqual((permit.reason, permit.until), ("paused", None))
        self.assertIn("Outbound paused by", self.backend.flow_text)
        self.assertIn("their upgrade", self.backend.flow_text)
        event = self.backend.event_ids[:1]
        self.assertEqual((event.kind, event.to_state), ("pause_out", "paused"))
        self.assertEqual(
            (event.user_id, event.reason), (self.operator, "their upgrade")
        )
        with self.assertRaises(UserError):
            self.backend.with_user(self.operator)._pause(("out",), " ")
        with self.assertRaises(UserError):
            self.backend.with_user(self.viewer)._pause(("out",), "no")

    def test_resuming_lets_what_waits_go_at_once(self):
        self.pause("both")
        message = self.waiting()
        self.backend.with_user(self.operator).action_resume()
        self.assertTrue(self.permit().allowed)
        self.assertLess(
            (message.next_try_at - fields.Datetime.now()).total_seconds(), 2
        )
        self.assertFalse(self.backend.pause_reason or self.backend.pause_out_reason)
        self.assertEqual(self.moves("pause_in")[-1], ("paused", "running", "person"))

    def test_a_pause_ends_by_itself(self):
        end = fields.Datetime.now() + timedelta(hours=2)
        self.pause("both", until=end)
        message = self.message(self.accept(self.body()))
        with self.naming([]):
            self.drain()
        self.assertEqual(message.state, "pending")
        self.assertIn("until", self.backend.flow_text)
        self.assertIsNotNone(self.backend._closed("in", end - timedelta(seconds=1)))
        self.assertIsNone(self.backend._closed("in", end))
        past = fields.Datetime.now() - timedelta(seconds=1)
        self.env.cr.execute(
            "UPDATE health_backend SET pause_in_until = %s, pause_out_until = %s",
            [past, past],
        )
        self.env.invalidate_all()
        # at once, whether or not anything has tidied up yet
        self.assertTrue(self.permit().allowed)
        with self.enter_registry_test_mode():
            self.env["health.backend"]._end_pauses()
        self.env.invalidate_all()
        self.assertFalse(self.backend.paused_in or self.backend.paused_out)
        self.assertEqual(self.moves("pause_out")[-1], ("paused", "running", "ended"))
        self.assertFalse(self.backend.event_ids[:1].user_id)

    def test_a_pause_in_the_past_is_refused(self):
        past = fields.Datetime.now() - timedelta(minutes=1)
        with self.assertRaises(UserError):
            self.pause(until=past)

    def test_a_person_who_flips_the_switch_says_why(self):
        administrator = new_test_user(
            self.env, "gate_admin", "base.group_user,health_base.group_administrator"
        )
        backend = self.backend.with_user(administrator)
        with self.assertRaises(UserError):
            backend.write({"paused_out": True})
        backend.write({"paused_out": True, "pause_out_reason": "why"})
        self.assertEqual(self.backend.event_ids[:1].user_id, administrator)

    def test_events_are_evidence(self):
        self.pause()
        event = self.backend.event_ids[:1]
        for change in (lambda: event.write({"reason": "x"}), event.unlink):
            with self.assertRaises(UserError):
                change()
        with self.assertRaises(AccessError):
            self.env["health.backend.event"].with_user(self.operator).create({})

    # -- what others do not feel ------------------------------------------------------

    def test_an_open_breaker_of_one_backend_is_nothing_to_another(self):
        other = self.backend.copy({"code": "other"})
        self.open_it()
        with self.enter_registry_test_mode():
            self.assertTrue(self.env["health.gate"]._permit(other).allowed)

    def test_inbound_failures_are_no_business_of_the_gate(self):
        def apply(document, exchange):
            raise HealthError("demo.busy", TRANSIENT)

        for number in range(6):
            self.accept(self.body(number, order_no=f"LAB-{number}"))
        with self.handler(apply):
            self.drain()
        self.assertEqual(self.gate.breaker, "closed")
