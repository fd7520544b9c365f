"""A partner that is down: what waits is not lost, not counted, and keeps its order."""

from datetime import timedelta

from odoo import fields
from odoo.tests import TransactionCase, tagged

from .common_out import OutboundMixin


@tagged("post_install", "-at_install")
class TestGateOutbound(OutboundMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_outbound()

    def orders(self, count):
        """Messages of so many order keys, in the order of their emission."""
        records = self.env["res.partner"].create(
            [{"name": f"P{n}", "ref": f"N-{n}"} for n in range(count)]
        )
        return self.env["health.message"].concat(*[self.emit(each) for each in records])

    def pause_over(self):
        self.env.cr.execute(
            """UPDATE health_backend_gate
                  SET until = now() AT TIME ZONE 'UTC' - interval '1 s'"""
        )
        self.env.cr.execute(
            """UPDATE health_message SET next_try_at = now() AT TIME ZONE 'UTC'
                WHERE state = 'waiting'"""
        )
        self.env.invalidate_all()

    def gate(self):
        return self.backend.gate_ids.breaker

    def test_while_it_is_down_few_calls_are_made_and_no_try_is_counted_in_vain(self):
        messages = self.orders(12)
        self.stub.faults.extend(["503"] * 5)
        self.drain_out()
        self.assertEqual(self.gate(), "open")
        self.assertEqual(len(self.stub.received), 5)
        self.assertEqual(messages.mapped("tries"), [1] * 5 + [0] * 7)
        self.drain_out()
        self.assertEqual(len(self.stub.received), 5)
        for _probe in range(10):
            self.stub.faults.append("503")
            self.pause_over()
            self.drain_out()
        self.assertEqual(len(self.stub.received), 15)
        self.assertEqual(messages.mapped("tries"), [1] * 5 + [0] * 7)
        self.assertNotIn("parked", messages.mapped("state"))
        self.pause_over()
        self.drain_out()
        self.assertEqual(self.gate(), "closed")
        self.assertEqual(set(messages.mapped("state")), {"done"})
        delivered = self.stub.keys()[15:]
        self.assertEqual(delivered, messages.mapped("uid"))

    def test_what_a_breaker_holds_up_waits_with_its_time(self):
        messages = self.orders(8)
        self.stub.faults.extend(["503"] * 5)
        self.drain_out()
        held = messages[5:]
        self.assertEqual(set(held.mapped("state")), {"waiting"})
        self.assertEqual(set(held.mapped("next_try_at")), {self.backend.gate_ids.until})

    def test_a_paused_backend_sends_nothing_and_wakes_nobody(self):
        message = self.emit()
        self.backend._pause(("out",), "their upgrade")
        with self.enter_registry_test_mode():
            self.env["health.drain"]._dispatch_out()
        self.drain_out()
        self.assertEqual((message.state, message.tries), ("pending", 0))
        self.assertFalse(self.stub.received)
        past = fields.Datetime.now() - timedelta(seconds=1)
        self.backend.with_context(health_pause_noted=True).pause_out_until = past
        self.drain_out()
        self.assertEqual(message.state, "done")

    def test_throttled_is_honoured_for_all_messages_of_the_backend(self):
        messages = self.orders(3)
        self.stub.faults.append("429")
        self.drain_out()
        self.assertEqual(len(self.stub.received), 1)
        self.assertEqual(messages.mapped("tries"), [0, 0, 0])
        self.assertEqual(self.gate(), "closed")
