"""Retention deletes what is due, and nothing else."""

import contextlib
import time
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged

from ..lib import states
from ..models.health_interface_retention import STAGES
from .test_stat import BASE, StatCase

PAYLOADS = ("raw", "canonical", "sent", "answer")
SHORT, LONG = 10, 4000


class RetentionCase(StatCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.interfaces = cls.interface
        cls.admin = new_test_user(
            cls.env, "retention_admin", groups="health_base.group_administrator"
        )

    def keep(self, **days):
        """Set the days of the named stages; all others are long."""
        values = {name: LONG for name in STAGES.values()}
        values |= {STAGES[stage]: value for stage, value in days.items()}
        self.interface.write(values)

    def keep_short(self):
        self.keep(**dict.fromkeys(STAGES, SHORT))

    def full(self, number, **columns):
        """A message of the past with all that may hang on one."""
        message = self.stored(number, **columns)
        # nobody but these tests stores messages of a time that is over
        self.env.cr.execute("DELETE FROM health_retention_floor")
        for stage in PAYLOADS[1:]:
            self.env["health.payload"]._store(
                stage, {message.id: (message.uid, b"{}", "application/json")}
            )
        self.tried(message, "transient")
        self.env.invalidate_all()
        return message

    def purge(self, limit=1000):
        with self.enter_registry_test_mode():
            finished = self.env["health.retention"]._purge(
                self.interface, time.monotonic() + 60, limit
            )
        self.env.invalidate_all()
        return finished

    def left(self, message):
        """What is still there of a message, as a set of stages."""
        if not message.exists():
            return set()
        stages = {*message.payload_ids.mapped("stage"), "envelope"}
        return stages | ({"attempt"} if message.attempt_ids else set())

    def hold(self, records, is_set=True, reason="claim 7"):
        self.env["health.legal.hold"].with_user(self.admin)._change(
            records.with_user(self.admin), is_set, reason
        )
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestRetention(RetentionCase):
    def test_each_stage_leaves_by_its_own_days(self):
        for number, stage in enumerate(STAGES):
            if stage == "envelope":
                continue
            with self.subTest(stage=stage):
                self.keep(**{stage: SHORT})
                message = self.full(number, state="done")
                self.purge()
                self.assertEqual(self.left(message), set(STAGES) - {stage})

    def test_the_message_leaves_last_and_with_all_that_hangs_on_it(self):
        message = self.full(1, state="done")
        self.keep_short()
        self.purge()
        self.assertEqual(self.left(message), set())
        for table in ("health_payload", "health_attempt", "health_retention_later"):
            self.env.cr.execute(
                f"SELECT 1 FROM {table} WHERE message_id = %s", [message.id]
            )
            self.assertFalse(self.env.cr.fetchall(), table)

    def test_every_closed_state_leaves_and_no_open_one(self):
        by_state = {
            state: self.full(number, state=state)
            for number, state in enumerate(states.STATES)
        }
        self.keep_short()
        self.purge()
        for state, message in by_state.items():
            kept = set(STAGES) if state in states.OPEN else set()
            self.assertEqual(self.left(message), kept, state)

    def test_days_count_from_when_it_was_closed(self):
        message = self.full(1, state="done", state_at=datetime.now())
        self.keep_short()
        self.purge()
        self.assertEqual(self.left(message), set(STAGES))

    def test_what_was_passed_by_leaves_when_it_is_closed(self):
        message = self.full(1, state="parked")
        self.keep_short()
        self.purge()
        self.env.cr.execute(
            "UPDATE health_message SET state = 'cancelled' WHERE id = %s", [message.id]
        )
        self.purge()
        self.assertEqual(self.left(message), set())
        self.assertFalse(self.env["health.retention.later"].search([]))

    def test_the_floor_spares_it_what_it_has_seen(self):
        self.keep(raw=SHORT)
        self.full(1, hours=1, state="done")
        self.purge()
        self.env.cr.execute("UPDATE health_message SET state = 'pending'")
        retention = self.env.registry["health.retention"]
        with patch.object(retention, "_delete_due") as looked:
            self.purge()
        looked.assert_not_called()

    def test_holds_on_message_interface_and_backend(self):
        self.keep_short()
        for number, target in enumerate(("message", "interface", "backend")):
            with self.subTest(target=target):
                message = self.full(number, state="done")
                held = {
                    "message": message,
                    "interface": self.interface,
                    "backend": self.backend,
                }[target]
                self.hold(held)
                self.purge()
                self.assertEqual(self.left(message), set(STAGES))
                self.hold(held, False)
                self.purge()
                self.assertEqual(self.left(message), set())

    def test_bytes_of_an_origin_stay_while_a_copy_may_need_them(self):
        self.keep_short()
        origin = self.full(1, state="done")
        copy = self.full(2, state="parked", origin_id=origin.id)
        self.purge()
        self.assertEqual(self.left(origin), {"raw", "envelope"})
        # closed, but not long enough ago
        self._close(copy, datetime.now())
        self.purge()
        self.assertEqual(self.left(origin), {"raw", "envelope"})
        self._close(copy, BASE)
        self.purge()
        self.assertEqual(self.left(origin), set())
        self.assertEqual(self.left(copy), set())

    def _close(self, message, at):
        self.env.cr.execute(
            "UPDATE health_message SET state = 'done', state_at = %s WHERE id = %s",
            [at, message.id],
        )

    def test_figures_outlive_the_messages(self):
        self.full(1, state="done", state_at=BASE + timedelta(seconds=3))
        self.full(2, state="cancelled")
        self.full(3, state="parked")
        self.env.cr.execute(
            "UPDATE health_message SET is_shadow = true WHERE id = %s",
            [self.full(4, state="done").id],
        )
        self.roll_up()
        before = self.by_hand()
        self.keep(attempt=SHORT)
        self.purge()
        self.assertEqual(self.sums(), before)
        self.keep_short()
        self.purge()
        self.assertEqual(self.sums(), before)
        self.assertEqual(
            self.env["health.message"].search_count(
                [("interface_id", "=", self.interface.id)]
            ),
            1,
        )
        # nor does counting again lose or double them
        self.env["health.interface.stat.mark"]._move_back(BASE)
        self.roll_up()
        self.assertEqual(self.sums(), before)

    def test_a_late_close_is_counted_beside_deleted_messages(self):
        self.full(1, state="done")
        parked = self.full(2, state="parked")
        self.roll_up()
        self.keep_short()
        self.purge()
        parked._transition("cancelled", {parked.id: {"reason": "late"}})
        self.roll_up()
        (figures,) = self.sums().values()
        self.assertEqual(
            {name: figures.get(name) for name in ("accepted", "done", "cancelled")},
            {"accepted": 2, "done": 1, "cancelled": 1},
        )
        self.assertNotIn("parked", figures)

    def test_a_killed_run_has_done_what_it_committed(self):
        messages = [
            self.full(number, hours=number, state="done") for number in range(6)
        ]
        self.roll_up()
        before = self.sums()
        self.keep_short()
        retention = self.env.registry["health.retention"]
        delete, calls = retention._delete_messages, []

        def killed(model, ids):
            delete(model, ids)
            calls.append(ids)
            if len(calls) == 2:
                raise SystemExit

        with patch.object(retention, "_delete_messages", killed):
            # not by assertRaises, which would roll back what was committed
            with contextlib.suppress(SystemExit):
                self.purge(limit=2)
        self.assertEqual(len(calls), 2)
        left = [message for message in messages if message.exists()]
        self.assertEqual(left, messages[2:])
        self.assertEqual(self.sums(), before)
        self.assertTrue(self.purge(limit=2))
        self.assertFalse([message for message in messages if message.exists()])
        self.assertEqual(self.sums(), before)

    def test_without_time_left_it_says_so_and_goes_on_next_time(self):
        message = self.full(1, state="done")
        self.keep_short()
        with self.enter_registry_test_mode():
            finished = self.env["health.retention"]._purge(self.interface, 0)
        self.assertFalse(finished)
        self.assertTrue(self.purge())
        self.assertEqual(self.left(message), set())

    def test_closed_exceptions_leave_with_their_messages(self):
        self.accept(self.body(1, test="unheard-of"))
        self.drain()
        message = self.env["health.message"].search([], limit=1)
        exception = message.exception_id
        message._cancel("not ours")
        self.assertEqual(exception.state, "closed")
        self.keep_short()
        for table, column in (("message", "state_at"), ("exception", "closed_at")):
            self.env.cr.execute(f"UPDATE health_{table} SET {column} = %s", [BASE])
        self.purge()
        self.assertTrue(exception.exists(), "its message is not due yet")
        self.env.cr.execute("UPDATE health_message SET accepted_at = %s", [BASE])
        self.env.cr.execute("DELETE FROM health_retention_floor")
        self.purge()
        self.assertFalse(exception.exists() or message.exists())

    def test_what_is_open_for_too_long_is_reported(self):
        domain = [("code", "=", "retention.open_too_long"), ("state", "=", "open")]
        message = self.stored(1, state="parked")
        with self.enter_registry_test_mode():
            self.env["health.retention"]._report_stuck(self.interface)
        exception = self.env["health.exception"].search(domain)
        self.assertEqual(exception.interface_id, self.interface)
        self.assertIn("30 days", exception.title)
        message._cancel("not ours")
        with self.enter_registry_test_mode():
            self.env["health.retention"]._report_stuck(self.interface)
        self.assertFalse(self.env["health.exception"].search(domain))

    def test_the_cron_goes_over_all_interfaces(self):
        message = self.full(1, state="done")
        self.keep_short()
        self.interface.active = False
        with self.enter_registry_test_mode():
            self.env.ref("health_connector.cron_retention").method_direct_trigger()
        self.assertEqual(self.left(message), set())

    def test_content_never_outlives_its_message(self):
        for stage in STAGES:
            if stage != "envelope":
                with self.subTest(stage=stage), self.assertRaises(ValidationError):
                    self.interface.write({"envelope_days": 5, STAGES[stage]: 6})

    def test_links_to_deleted_messages_can_be_shown(self):
        first = self.full(1, state="done")
        links = dict.fromkeys(("conflict_id", "origin_id", "replay_of_id"), first.id)
        second = self.stored(2, state="parked", **links)
        self.env.cr.execute("DELETE FROM health_message WHERE id = %s", [first.id])
        self.env.invalidate_all()
        shown = {name: {"fields": {"display_name": {}}} for name in links}
        for name, link in second.web_read(shown)[0].items():
            if name in links:
                self.assertEqual(link["display_name"], f"#{first.id} (deleted)")
        self.env.invalidate_all()
        for name in links:
            link = second.read([name])[0][name]
            self.assertEqual(link, (first.id, f"#{first.id} (deleted)"))

    def test_deleting_a_message_searches_no_other_table(self):
        self.env.cr.execute(
            """SELECT conrelid::regclass::text FROM pg_constraint
                WHERE contype = 'f' AND confrelid = 'health_message'::regclass"""
        )
        # relations of wizards are small, and indexed
        names = [name for (name,) in self.env.cr.fetchall()]
        self.assertEqual([name for name in names if not name.endswith("_rel")], [])


@tagged("post_install", "-at_install")
class TestLegalHold(RetentionCase):
    def test_a_hold_needs_a_reason_and_leaves_an_entry(self):
        message = self.stored(1)
        with self.assertRaises(UserError):
            self.hold(message, reason="  ")
        self.hold(message, reason="claim 7")
        self.hold(message, reason="again")
        self.hold(message, False, "settled")
        entries = self.env["health.legal.hold"].search([("res_id", "=", message.id)])
        self.assertEqual(
            [(each.is_set, each.reason, each.user_id) for each in entries.sorted("id")],
            [(True, "claim 7", self.admin), (False, "settled", self.admin)],
        )
        with self.assertRaises(UserError):
            entries[0].write({"reason": "other"})

    def test_operators_cannot_change_holds(self):
        operator = new_test_user(
            self.env, "hold_operator", groups="health_base.group_operator"
        )
        hold = self.env["health.legal.hold"].with_user(operator)
        with self.assertRaises(AccessError):
            hold._change(self.interface.with_user(operator), True, "because")

    def test_there_is_no_other_way(self):
        for record in (self.interface, self.backend):
            with self.assertRaises(UserError):
                record.write({"legal_hold": True})

    def test_the_wizard(self):
        wizard = self.env["health.legal.hold.change"].with_user(self.admin)
        wizard = wizard.with_context(
            active_model="health.interface", active_ids=self.interface.ids
        )
        wizard.create({"reason": "claim 7"}).action_change()
        self.assertTrue(self.interface.legal_hold)


@tagged("post_install", "-at_install")
class TestTableSize(RetentionCase):
    def test_administrators_see_sizes_and_nobody_else(self):
        message = self.stored(1)
        sizes = self.env["health.table.size"]
        rows = {each.name: each for each in sizes.with_user(self.admin).search([])}
        self.assertGreater(rows["health_message"].total_mb, 0)
        self.assertLessEqual(rows["health_message"].oldest_at, message.accepted_at)
        self.assertIn("health_payload", rows)
        operator = new_test_user(
            self.env, "size_operator", groups="health_base.group_operator"
        )
        with self.assertRaises(AccessError):
            sizes.with_user(operator).search([])
