"""The roll-up equals a count by hand, whatever happened and however often it runs."""

import random
from collections import Counter
from datetime import datetime, timedelta

from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from ..lib import rollup, states
from ..lib.errors import ERROR_CLASSES
from .common import ConnectorCase

BASE = datetime(2026, 3, 1)
FAILED = (*ERROR_CLASSES, "unknown")


class StatCase(ConnectorCase):
    """Messages of known hours, and the count by hand."""

    def stored(self, number, hours=0, interface=None, **columns):
        """One accepted message, moved into the past."""
        interface = interface or self.interface
        message = self.message(self.accept(self.body(number), interface))
        at = BASE + timedelta(hours=hours)
        values = {"accepted_at": at, "state_at": at, **columns}
        assignments = ", ".join(f"{name} = %s" for name in values)
        self.env.cr.execute(
            f"UPDATE health_message SET {assignments} WHERE id = %s",
            [*values.values(), message.id],
        )
        message.invalidate_recordset()
        return message

    def tried(self, message, outcome):
        self.env["health.attempt"]._append(
            [{"message_id": message.id, "outcome": outcome, "started_at": BASE}]
        )

    def roll_up(self):
        with self.enter_registry_test_mode():
            self.env["health.interface.stat"]._cron_roll_up()
        self.env.invalidate_all()

    def rows(self):
        """The stored rows: {(interface id, hour, is_purged): {column: figure}}."""
        columns = ", ".join(rollup.COLUMNS)
        self.env.cr.execute(
            f"""SELECT interface_id, hour, is_purged, xmin::text, {columns}
                  FROM health_interface_stat WHERE interface_id = ANY(%s)""",
            [self.interfaces.ids],
        )
        return {row[:3]: row[3:] for row in self.env.cr.fetchall()}

    def sums(self):
        """What a dashboard sees: figures per (interface id, hour), without zeros."""
        totals = {}
        for (interface, hour, _purged), (_xmin, *figures) in self.rows().items():
            total = totals.setdefault((interface, hour), Counter())
            for name, value in zip(rollup.COLUMNS, figures, strict=True):
                together = max if name == "latency_max" else lambda a, b: a + b
                total[name] = together(total[name], float(value))
        return {
            key: {name: round(value, 3) for name, value in total.items() if value}
            for key, total in totals.items()
            if any(total.values())
        }

    def by_hand(self):
        """The same from the messages, without SQL that counts."""
        totals = {}
        self.env.invalidate_all()
        messages = self.env["health.message"].search(
            [("interface_id", "in", self.interfaces.ids)]
        )
        for message in messages:
            hour = message.accepted_at.replace(minute=0, second=0, microsecond=0)
            total = totals.setdefault((message.interface_id.id, hour), Counter())
            self._count(total, message)
        return {
            key: {name: round(value, 3) for name, value in total.items() if value}
            for key, total in totals.items()
        }

    def _count(self, total, message):
        if message.is_shadow:
            total["shadow"] += 1
            return
        open_ = message.state in ("pending", "waiting", "processing")
        total["accepted"] += 1
        total["bytes"] += message.size
        total["open" if open_ else message.state] += 1
        for attempt in message.attempt_ids:
            if attempt.outcome in FAILED:
                total[f"failed_{attempt.outcome}"] += 1
        if message.state == "done":
            self._count_latency(total, message)

    def _count_latency(self, total, message):
        seconds = (message.state_at - message.accepted_at).total_seconds()
        total["latency_count"] += 1
        total["latency_sum"] += seconds
        total["latency_max"] = max(total["latency_max"], seconds)
        for column, end in zip(
            rollup.LATENCY_COLUMNS, rollup.LATENCY_SECONDS, strict=True
        ):
            total[column] += seconds <= end


@tagged("post_install", "-at_install")
class TestStat(StatCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        other = cls.interface.copy({"code": "other-results", "state": "live"})
        cls.interfaces = cls.interface | other

    def test_a_random_history_is_counted_as_by_hand(self):
        seed = random.randrange(1 << 32)
        draw = random.Random(seed)
        messages = [
            self.stored(
                number,
                hours=draw.random() * 5,
                interface=draw.choice(self.interfaces),
                is_shadow=draw.random() < 0.1,
            )
            for number in range(60)
        ]
        for _round in range(8):
            for message in draw.sample(messages, 15):
                self._live(draw, message)
            self.roll_up()
            self.assertEqual(self.sums(), self.by_hand(), f"seed {seed}")
        self.assertTrue(all(self.by_hand().values()))

    def _live(self, draw, message):
        """A legal move, with a try where the drain would have made one."""
        moves = sorted(states.MOVES[message.state])
        if not moves:
            return
        target = draw.choice(moves)
        if message.state == "processing":
            self.tried(message, draw.choice(FAILED) if target != "done" else "done")
            self.tried(message, "opened")
        message._transition(target, {message.id: {}})
        if target == "done":
            # as if it had been applied then
            spent = timedelta(seconds=draw.choice((0, 1, 4, 77, 2000, 90000)))
            self.env.cr.execute(
                "UPDATE health_message SET state_at = accepted_at + %s WHERE id = %s",
                [spent, message.id],
            )
            self._mark_seen_before()
        message.invalidate_recordset()

    def _mark_seen_before(self):
        """These tests write times of the past: look at them again."""
        self.env["health.interface.stat.mark"]._move_back(BASE)

    def test_a_second_run_writes_nothing(self):
        message = self.stored(1)
        message._transition("processing", {message.id: {}})
        self.tried(message, "transient")
        self.roll_up()
        before = self.rows()
        self._mark_seen_before()
        self.roll_up()
        self.assertEqual(self.rows(), before)
        self.assertEqual(len(before), 1)

    def test_a_late_move_touches_its_old_hour_only(self):
        early, late = self.stored(1, hours=1), self.stored(2, hours=2)
        self.roll_up()
        self.env.cr.execute(
            "UPDATE health_interface_stat SET ignored = 7 WHERE interface_id = %s",
            [self.interface.id],
        )
        early._transition("processing", {early.id: {}})
        early._transition("parked", {early.id: {}})
        self.roll_up()
        stats = self.env["health.interface.stat"].search(
            [("interface_id", "=", self.interface.id)], order="hour"
        )
        self.assertEqual(stats.mapped("parked"), [1, 0])
        # the untouched hour was not looked at
        self.assertEqual(stats.mapped("ignored"), [0, 7])
        self.assertEqual(late.state, "pending")

    def test_people_cancel_revert_and_process_again(self):
        parked, applied, retried = (self.stored(number) for number in range(3))
        for message, end in (
            (parked, "parked"),
            (applied, "done"),
            (retried, "parked"),
        ):
            message._transition("processing", {message.id: {}})
            message._transition(end, {message.id: {}})
        self.roll_up()
        parked._cancel("not ours")
        applied._transition("reverted", {applied.id: {}})
        retried.action_process_again()
        self.roll_up()
        (figures,) = self.sums().values()
        self.assertEqual(
            {name: figures.get(name) for name in ("cancelled", "reverted", "open")},
            {"cancelled": 1, "reverted": 1, "open": 1},
        )
        self.assertEqual(self.sums(), self.by_hand())

    def test_an_hour_without_messages_counts_nothing(self):
        message = self.stored(1, hours=1)
        self.stored(2, hours=3)
        self.roll_up()
        self.env.cr.execute(
            "UPDATE health_message SET accepted_at = %s WHERE id = %s",
            [BASE + timedelta(hours=3), message.id],
        )
        self.env.cr.execute(
            """INSERT INTO health_interface_stat_due (interface_id, hour)
               VALUES (%s, %s)""",
            [self.interface.id, BASE + timedelta(hours=1)],
        )
        self._mark_seen_before()
        self.roll_up()
        self.assertEqual(self.sums(), self.by_hand())

    def test_only_administrators_have_hours_counted_again(self):
        self.stored(1)
        self.roll_up()
        self.env.cr.execute("UPDATE health_interface_stat SET accepted = 9")
        stat = self.env["health.interface.stat"]
        operator = new_test_user(
            self.env, "stat_operator", groups="health_base.group_operator"
        )
        with self.assertRaises(AccessError):
            stat.with_user(operator)._recompute_from(BASE)
        self.roll_up()
        self.assertNotEqual(self.sums(), self.by_hand())
        administrator = new_test_user(
            self.env, "stat_admin", groups="health_base.group_administrator"
        )
        stat.with_user(administrator)._recompute_from(BASE)
        self.roll_up()
        self.assertEqual(self.sums(), self.by_hand())
