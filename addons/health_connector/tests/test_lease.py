"""Leases: who may apply a message, and what a worker that died over one costs."""

import contextlib
from unittest.mock import patch

from odoo.tests import tagged

from ..lib import claiming, states
from ..models.health_handler import Outcome
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestLease(ConnectorCase):
    def claim(self, owner="me"):
        with self.enter_registry_test_mode():
            return self.env["health.drain"]._claim(self.backend, owner)

    def accept_orders(self, count):
        return [
            self.accept(self.body(number, order_no=f"LAB-{number}"))
            for number in range(count)
        ]

    def lease_of(self, message_id):
        self.env.cr.execute(
            "SELECT lease_owner, lease_until FROM health_message WHERE id = %s",
            [message_id],
        )
        return self.env.cr.fetchone()

    def end_leases(self):
        self.env.cr.execute(
            "UPDATE health_message SET lease_until = now() - interval '1 day'"
        )

    def test_a_claim_has_an_owner_an_end_and_a_try(self):
        receipt = self.accept(self.body())
        self.claim()
        message = self.message(receipt)
        self.assertEqual((message.lease_owner, message.tries), ("me", 1))
        seconds = (message.lease_until - message.state_at).total_seconds()
        self.assertAlmostEqual(seconds, claiming.LEASE, delta=1)

    def test_renewing_moves_the_end_of_ones_own_only(self):
        mine, lost = self.accept_orders(2)
        self.claim()
        self.end_leases()
        self.env.cr.execute(
            "UPDATE health_message SET lease_owner = 'other' WHERE id = %s",
            [lost.message_id],
        )
        ids = [mine.message_id, lost.message_id]
        held = claiming.renew(self.env.cr, ids, "me")
        self.assertEqual(held, {mine.message_id})
        now = self.env.cr.now()
        self.assertGreater(self.lease_of(mine.message_id)[1], now)
        self.assertLess(self.lease_of(lost.message_id)[1], now)

    def test_what_waits_for_its_turn_is_renewed(self):
        """One by one may take longer than a lease: a worker that is alive keeps it."""
        receipts = self.accept_orders(3)
        ids = self.claim()
        ends = []

        def apply(document, exchange):
            ends.append(self.lease_of(ids[-1])[1])
            self.end_leases()
            return Outcome()

        pipeline = self.env["health.pipeline"]
        module = "odoo.addons.health_connector.models.health_pipeline"
        with self.handler(apply), self.enter_registry_test_mode():
            with patch(f"{module}.LEASE", 0):
                pipeline._apply_singly(ids, "me")
        self.env.invalidate_all()
        # that of the last one, each time another one's turn came
        self.assertGreater(min(ends), self.env.cr.now())
        self.assertEqual(len(ends), 3)
        self.assertEqual({self.message(each).state for each in receipts}, {"done"})

    def test_a_worker_that_lost_its_lease_applies_nothing(self):
        receipts = self.accept_orders(3)
        ids = self.claim("dead")
        self.end_leases()
        drain, pipeline = self.env["health.drain"], self.env["health.pipeline"]
        seen = []
        with (
            self.handler(lambda doc, ex: seen.append(1) or Outcome()),
            self.enter_registry_test_mode(),
        ):
            drain._expire(self.backend)
            for apply in (pipeline._apply_claimed, pipeline._apply_singly):
                self.assertEqual(apply(ids, "dead"), [])
        self.env.invalidate_all()
        self.assertEqual(seen, [])
        self.assertEqual({self.message(each).state for each in receipts}, {"waiting"})

    def test_a_message_that_ends_workers_costs_the_others_one_try_only(self):
        """The batch dies as a whole once. From then on each of it is tried alone, and
        its try is counted when it begins."""
        receipts = self.accept_orders(4)
        killer = receipts[1].message_id

        class Killed(BaseException):
            """A SIGKILL, as far as the database can see."""

        def apply(document, exchange):
            if exchange.message_id == killer:
                raise Killed
            return Outcome()

        for _round in range(3):
            with self.handler(apply), contextlib.suppress(Killed):
                self.drain()
            self.end_leases()
            with self.enter_registry_test_mode():
                self.env["health.drain"]._expire(self.backend)
            self.env.cr.execute(
                """UPDATE health_message SET next_try_at = now() AT TIME ZONE 'UTC'
                    WHERE state = 'waiting'"""
            )
            self.env.invalidate_all()
        tries = [self.message(each).tries for each in receipts]
        self.assertEqual(tries[1], 3)
        self.assertEqual(self.message(receipts[0]).state, "done")
        self.assertEqual(tries[2:], [1, 1])

    def test_the_statements_beside_the_funnel_follow_the_table(self):
        for origins, target in claiming.MOVES:
            self.assertLessEqual(set(origins), set(states.origins(target)))
