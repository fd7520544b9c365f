"""A shadow changes nothing, and says what it would have done."""

from unittest.mock import patch

from odoo.tests import tagged

from ..lib.errors import MAPPING, HealthError
from ..models.health_handler import Outcome
from .test_route import RouteCase


@tagged("post_install", "-at_install")
class TestShadow(RouteCase):
    def setUp(self):
        super().setUp()
        self._route(mode="shadow")

    def _effects(self):
        return self.env["res.partner"].search_count([("name", "=like", "via %")])

    def _drained(self, apply=None, body=None):
        receipt = self._accept(body or self.body())
        with self.handler(apply or self._effect):
            self.drain()
        copy = self._copies(receipt)
        return copy, self.env["health.shadow"].search([("message_id", "=", copy.id)])

    def _effect(self, document, exchange):
        env = exchange.interface.env
        record = env["res.partner"].create({"name": f"via {exchange.interface.code}"})
        return Outcome(record=record)

    def test_its_effect_is_rolled_back(self):
        copy, shadow = self._drained()
        self.assertEqual(self._effects(), 1)
        self.assertEqual((copy.state, copy.reason), ("ignored", "route.shadow"))
        self.assertEqual(shadow.outcome, "done")
        self.assertGreater(shadow.changes, 0)
        self.assertFalse(copy.payload_ids)

    def test_the_same_understanding_is_reported_as_the_same(self):
        _copy, shadow = self._drained()
        self.assertEqual((shadow.verdict, shadow.live_state), ("same", "done"))

    def test_another_mapping_is_reported(self):
        other = self.interface.mapping_id.copy({"version": "2.0"})
        other.line_ids.filtered(lambda line: line.target == "code").code_map = ""
        self.archive.mapping_id = other
        _copy, shadow = self._drained()
        self.assertEqual((shadow.verdict, shadow.difference), ("differs", "document"))

    def test_a_shadow_that_would_fail_raises_no_exception(self):
        def apply(document, exchange):
            if exchange.interface == self.archive:
                raise HealthError("demo.unknown", MAPPING)
            return self._effect(document, exchange)

        copy, shadow = self._drained(apply)
        self.assertEqual(copy.state, "ignored")
        self.assertEqual((shadow.outcome, shadow.code), ("failed", "demo.unknown"))
        self.assertEqual((shadow.verdict, shadow.difference), ("differs", "outcome"))
        self.assertFalse(
            self.env["health.exception"].search([("code", "=", "demo.unknown")])
        )

    def test_it_waits_until_the_live_flow_has_ended(self):
        self.interface.state = "suspended"
        self._accept(self.body())
        # another key, so that the copy does not wait behind its origin
        self.env.cr.execute(
            "UPDATE health_message SET order_key = NULL WHERE is_shadow"
        )
        with self.handler(self._effect):
            self.drain()
            shadow = self.env["health.shadow"].search([])[:1]
            self.assertEqual(shadow.verdict, "waiting")
            self.interface.state = "live"
            self.drain()
        with self.enter_registry_test_mode():
            self.env["health.shadow"]._compare_waiting()
        self.env.invalidate_all()
        self.assertEqual(shadow.verdict, "same")

    def test_a_busy_database_puts_it_back_in_line(self):
        receipt = self._accept(self.body())
        rehearsal = self.env.registry["health.rehearsal"]
        busy = HealthError("rehearsal.busy", "transient")
        with (
            self.handler(self._effect),
            patch.object(rehearsal, "_rehearse", side_effect=busy),
        ):
            self.drain()
        copy = self._copies(receipt)
        self.assertEqual((copy.state, copy.tries), ("pending", 0))
