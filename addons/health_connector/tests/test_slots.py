"""A backend has its share of the workers, and no more."""

from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.queue_job.tests.common import trap_jobs

from ..models import shift
from ..models.health_handler import Outcome
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestSlots(ConnectorCase):
    def setUp(self):
        super().setUp()
        self.slots = self.env["health.drain.slot"]
        self.startPatcher(patch.object(shift, "PROMISE", 0.0))

    def take(self, owner):
        with self.enter_registry_test_mode():
            return self.slots._take(self.backend, owner)

    def renew(self, owner):
        with self.enter_registry_test_mode():
            return self.slots._renew(self.backend, owner)

    def end_leases(self):
        self.env.cr.execute(
            "UPDATE health_drain_slot SET lease_until = now() - interval '1 day'"
        )

    def run_job(self):
        with self.enter_registry_test_mode(), trap_jobs() as trap:
            self.env["health.drain"]._drain_job(self.backend.id)
        self.env.invalidate_all()
        return trap

    def test_a_share_of_two_lets_two_work(self):
        self.assertEqual([self.take(name) for name in "abc"], [0, 1, None])

    def test_the_share_is_a_setting(self):
        self.backend.max_drains = 3
        self.assertEqual([self.take(name) for name in "abcd"], [0, 1, 2, None])
        self.backend.max_drains = 1
        self.assertIsNone(self.take("e"))

    def test_another_backend_has_a_share_of_its_own(self):
        other = self.backend.copy({"code": "other"})
        for name in "ab":
            self.take(name)
        with self.enter_registry_test_mode():
            self.assertEqual(self.slots._take(other, "c"), 0)

    def test_the_slot_of_a_dead_drain_is_free_when_its_lease_ends(self):
        self.take("dead")
        self.take("alive")
        self.end_leases()
        self.assertEqual(self.renew("alive"), 1)
        self.assertEqual(self.take("new"), 0)
        self.assertIsNone(self.renew("dead"))

    def test_a_drain_without_a_slot_applies_nothing(self):
        for name in "ab":
            self.take(name)
        receipt = self.accept(self.body())
        self.drain()
        self.assertEqual(self.message(receipt).state, "pending")

    def test_a_drain_frees_its_slot_also_after_an_error(self):
        self.accept(self.body())
        pipeline = self.env.registry["health.pipeline"]
        with (
            patch.object(pipeline, "_apply_claimed", side_effect=RuntimeError),
            self.assertRaises(RuntimeError),
        ):
            self.drain()
        self.assertEqual([self.take(name) for name in "abc"], [0, 1, None])

    def test_a_drain_that_lost_its_slot_stops(self):
        receipts = [
            self.accept(self.body(number, order_no=f"LAB-{number}"))
            for number in range(4)
        ]

        def apply(document, exchange):
            self.env.cr.execute("UPDATE health_drain_slot SET lease_owner = 'other'")
            return Outcome()

        with self.handler(apply), patch.object(shift, "BATCH", 1):
            self.drain()
        done = [self.message(each).state for each in receipts].count("done")
        self.assertEqual(done, 1)

    def test_help_is_called_while_claims_come_back_full(self):
        for number in range(4):
            self.accept(self.body(number, order_no=f"LAB-{number}"))
        with patch.object(shift, "BATCH", 2), patch.object(shift, "_SMALLEST", 2):
            trap = self.run_job()
        helpers = [
            job for job in trap.enqueued_jobs if job.identity_key[-5:] == ":help"
        ]
        self.assertEqual(len(helpers), 1)
        self.assertEqual(helpers[0].args, (self.backend.id,))

    def test_none_is_called_without_a_backlog_or_beyond_the_share(self):
        self.accept(self.body())
        self.run_job().assert_jobs_count(0)
        self.backend.max_drains = 1
        for number in range(2, 6):
            self.accept(self.body(number, order_no=f"LAB-{number}"))
        with patch.object(shift, "BATCH", 2), patch.object(shift, "_SMALLEST", 2):
            self.run_job().assert_jobs_count(0)

    def test_a_slow_handler_gives_back_what_it_has_not_come_to(self):
        receipts = [
            self.accept(self.body(number, order_no=f"LAB-{number}"))
            for number in range(5)
        ]
        with self.handler(lambda doc, ex: Outcome()), self.enter_registry_test_mode():
            drain = self.env["health.drain"]
            with patch("odoo.addons.health_connector.models.health_pipeline.SLICE", 0):
                drain._drain_slice(self.backend, "me")
        self.env.invalidate_all()
        messages = [self.message(each) for each in receipts]
        self.assertEqual([each.state for each in messages], ["done"] + ["pending"] * 4)
        self.assertEqual([each.tries for each in messages], [1, 0, 0, 0, 0])

    def test_a_drain_makes_room_when_others_wait(self):
        drain = self.env["health.drain"]
        other = self.backend.copy({"code": "other"})
        for backend, waits in ((self.backend, False), (other, True)):
            drain._enqueue(backend)
            with self.enter_registry_test_mode():
                self.assertEqual(drain._others_wait(self.backend), waits)

    @mute_logger("odoo.sql_db")
    def test_a_share_of_none_is_refused(self):
        with self.assertRaises(IntegrityError):
            self.backend.max_drains = 0
            self.env.flush_all()
