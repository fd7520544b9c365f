"""Many messages in one savepoint: each effect once, whatever fails beside it."""

from psycopg2 import IntegrityError

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib.errors import MAPPING, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase

SQL_LOG = "odoo.sql_db"


@tagged("post_install", "-at_install")
class TestApplying(ConnectorCase):
    def setUp(self):
        super().setUp()
        self.partners = self.env["res.partner"].with_context(active_test=False)

    def accept_orders(self, count, start=0):
        """A message for each of so many orders: no two share an order key."""
        return [
            self.accept(self.body(number, order_no=f"DRAIN-{number}"))
            for number in range(start, start + count)
        ]

    def make(self, exchange, name):
        """An effect that can be counted, in the transaction of the message."""
        partners = self.partners.with_env(exchange.interface.env)
        return Outcome(record=partners.create({"name": name}))

    def effects(self):
        found = self.partners.search([("name", "like", "DRAIN-")])
        return sorted(found.mapped("name"), key=lambda name: int(name[6:]))

    def states(self, receipts):
        return [self.message(receipt).state for receipt in receipts]

    def test_failures_of_every_pattern_leave_each_effect_once(self):
        patterns = ([0], [29], [7, 8, 9], [0, 13, 29], range(30), range(0, 30, 2))
        for round_number, bad in enumerate(patterns):
            with self.subTest(bad=list(bad)):
                self.check_pattern(round_number * 100, set(bad))

    def check_pattern(self, start, bad):
        numbers = range(start, start + 30)
        receipts = self.accept_orders(30, start)
        before = self.effects()

        def apply(document, exchange):
            outcome = self.make(exchange, document["order"])
            if int(document["order"][6:]) - start in bad:
                raise HealthError("demo.unknown", MAPPING)
            return outcome

        with self.handler(apply):
            self.drain()
        good = [number for number in numbers if number - start not in bad]
        self.assertEqual(self.effects(), before + [f"DRAIN-{n}" for n in good])
        expected = ["parked" if n - start in bad else "done" for n in numbers]
        self.assertEqual(self.states(receipts), expected)
        self.assertTrue(
            all(len(self.message(each).attempt_ids) == 1 for each in receipts)
        )

    @mute_logger(SQL_LOG)
    def test_what_only_the_flush_refuses_is_found(self):
        """Nothing is raised in the handler: the constraint speaks at the flush."""
        receipts = self.accept_orders(12)

        def apply(document, exchange):
            outcome = self.make(exchange, document["order"])
            if document["order"] == "DRAIN-5":
                outcome.record.company_id = 999999999
            return outcome

        with self.handler(apply):
            self.drain()
        expected = ["done"] * 5 + ["parked"] + ["done"] * 6
        self.assertEqual(self.states(receipts), expected)
        self.assertEqual(self.message(receipts[5]).error_code, "odoo.constraint")
        self.assertNotIn("DRAIN-5", self.effects())

    def test_a_binding_is_found_by_the_messages_behind_it(self):
        """Also before the run is over, and not when its message was undone."""
        receipts = self.accept_orders(6)
        bindings, seen = "health.binding", []

        def apply(document, exchange):
            number = int(document["order"][6:])
            env = exchange.interface.env
            wanted = [f"EXT-{each}" for each in range(6)]
            known = env[bindings]._find(self.backend, "res.partner", wanted)
            outcome = self.make(exchange, document["order"])
            exchange.bind(outcome.record, f"EXT-{number}")
            if number == 2:
                raise HealthError("demo.unknown", MAPPING)
            seen.append((number, sorted(known)))
            return outcome

        with self.handler(apply):
            self.drain()
        self.assertEqual(seen[-1], (5, ["EXT-0", "EXT-1", "EXT-3", "EXT-4"]))
        self.assertEqual(self.states(receipts).count("done"), 5)

    def test_bindings_of_what_was_undone_are_forgotten(self):
        """Applied again, those before the failure bind other records."""
        receipts = self.accept_orders(6)

        def apply(document, exchange):
            outcome = self.make(exchange, document["order"])
            if document["order"] == "DRAIN-4":
                raise HealthError("demo.unknown", MAPPING)
            exchange.bind(outcome.record, document["order"])
            return outcome

        with self.handler(apply):
            self.drain()
        self.assertEqual(self.states(receipts), ["done"] * 4 + ["parked", "done"])
        wanted = [f"DRAIN-{number}" for number in range(6)]
        found = self.env["health.binding"]._find(self.backend, "res.partner", wanted)
        bound = self.partners.browse(
            record_id for record_id, _version in found.values()
        )
        self.assertEqual(sorted(bound.mapped("name")), self.effects())

    @mute_logger(SQL_LOG)
    def test_a_taken_binding_is_the_failure_of_its_message_only(self):
        receipts = self.accept_orders(8)
        owner = self.backend.owner_id.partner_id

        def apply(document, exchange):
            outcome = self.make(exchange, document["order"])
            exchange.bind(outcome.record, document["order"][-1])
            if document["order"] == "DRAIN-3":
                exchange.bind(outcome.record, "other number of one record")
            if document["order"] == "DRAIN-6":
                exchange.bind(owner, "1")
            return outcome

        with self.handler(apply):
            self.drain()
        expected = ["done"] * 3 + ["parked"] + ["done"] * 2 + ["parked", "done"]
        self.assertEqual(self.states(receipts), expected)
        for number in (3, 6):
            self.assertEqual(self.message(receipts[number]).error_code, "binding.taken")

    def test_a_run_costs_statements_by_the_run_not_by_the_message(self):
        def apply(document, exchange):
            partner = self.backend.owner_id.partner_id.with_env(exchange.interface.env)
            partner.write({"comment": document["order"]})
            return Outcome(record=partner)

        counts = []
        for start, count in ((0, 5), (100, 50)):
            self.accept_orders(count, start)
            before = self.cr.sql_log_count
            with self.handler(apply):
                self.drain()
            counts.append(self.cr.sql_log_count - before)
        self.assertLess(counts[1] - counts[0], 45 // 3)

    def test_refused_by_the_database_in_the_handler(self):
        receipts = self.accept_orders(3)

        def apply(document, exchange):
            outcome = self.make(exchange, document["order"])
            if document["order"] == "DRAIN-1":
                raise IntegrityError("in the middle")
            return outcome

        with self.handler(apply):
            self.drain()
        self.assertEqual(self.states(receipts), ["done", "parked", "done"])
