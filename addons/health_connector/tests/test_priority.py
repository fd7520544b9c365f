"""Urgent messages go first, and take along what stands before them."""

from odoo.tests import tagged

from ..models.health_handler import Outcome
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestPriority(ConnectorCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.interface.urgent_source = "urgency"

    def routine(self, *numbers, order="LAB-1"):
        return [self.accept(self.body(n, order_no=order)) for n in numbers]

    def urgent(self, number, order="LAB-1"):
        return self.accept(self.body(number, order_no=order, urgency="stat"))

    def claim(self, limit):
        with self.enter_registry_test_mode():
            return self.env["health.drain"]._claim(self.backend, "me", limit)

    def ids(self, *receipts):
        return [receipt.message_id for receipt in receipts]

    def flood(self, count):
        """So many routine messages of other order keys, stored at once."""
        first = self.routine(0, order="OTHER")[0]
        self.env.cr.execute(
            """INSERT INTO health_message (
                      uid, interface_id, backend_id, company_id, priority, dedupe_key,
                      order_key, content_hash, size, direction, state, tries,
                      accepted_at, state_at, next_try_at)
               SELECT md5(uid || n), interface_id, backend_id, company_id, priority,
                      dedupe_key || n, order_key || n, content_hash, size, direction,
                      state, tries, accepted_at, state_at, next_try_at
                 FROM health_message, generate_series(1, %s) AS n
                WHERE id = %s""",
            [count, first.message_id],
        )

    def test_what_a_message_says_decides(self):
        routine, urgent = self.routine(1)[0], self.urgent(2)
        self.assertEqual(self.message(routine).priority, 5)
        self.assertEqual(self.message(urgent).priority, 1)

    def test_ten_thousand_others_do_not_delay_it(self):
        self.flood(10_000)
        urgent = self.urgent(1)
        self.assertIn(urgent.message_id, self.claim(limit=10))

    def test_it_pulls_forward_what_stands_before_it(self):
        self.flood(300)
        before = self.routine(1, 2, 3)
        urgent = self.urgent(4)
        behind = self.routine(5)
        claimed = self.claim(limit=3)
        self.assertLessEqual(set(self.ids(*before, urgent)), set(claimed))
        self.assertNotIn(behind[0].message_id, claimed)

    def test_in_the_order_of_its_key(self):
        self.flood(30)
        before = self.routine(1, 2)
        urgent = self.urgent(3)
        seen = []
        with self.handler(lambda doc, ex: seen.append(ex.message_id) or Outcome()):
            self.drain()
        chain = self.ids(*before, urgent)
        self.assertEqual([each for each in seen if each in chain], chain)

    def test_a_longer_line_comes_by_and_by(self):
        """More than a batch holds: the earliest first, before the others' turn."""
        self.flood(50)
        before = self.routine(*range(1, 12))
        chain, claimed = self.ids(*before, self.urgent(12)), []
        while chain[-1] not in claimed:
            claimed += self.claim(limit=3)
            self.env.cr.execute(
                "UPDATE health_message SET state = 'done' WHERE state = 'processing'"
            )
            self.assertLess(len(claimed), 40)
        self.assertEqual([each for each in claimed if each in chain], chain)

    def test_many_urgent_ones_behind_one_do_not_keep_it_from_its_turn(self):
        head = self.routine(1)[0]
        line = [self.urgent(number) for number in range(2, 12)]
        self.assertIn(head.message_id, self.claim(limit=3))
        self.assertEqual(self.message(line[-1]).state, "pending")

    def test_behind_a_parked_one_it_waits(self):
        """Order comes before urgency."""
        head = self.accept(self.body(1, test="NEW"))
        self.drain()
        self.assertEqual(self.message(head).state, "parked")
        urgent = self.urgent(2)
        self.assertEqual(self.claim(limit=5), [])
        self.assertTrue(self.message(urgent).is_behind)

    def test_a_line_behind_a_closed_interface_does_not_fill_the_batches(self):
        closed = self.interface.copy({"code": "demo-closed", "state": "live"})
        self.accept(self.body(1), interface=closed)
        closed.state = "suspended"
        self.routine(*range(2, 8))
        free = self.routine(9, order="LAB-9")[0]
        self.assertEqual(self.claim(limit=3), [free.message_id])
