"""Messages of one order key apply in order; a parked one blocks its key only."""

from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import states
from ..lib.errors import MAPPING, TRANSIENT, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestOrder(ConnectorCase):
    def test_messages_of_one_key_keep_their_order(self):
        urgent = self.accept(self.body(9, order_no="LAB-2"))
        receipts = [self.accept(self.body(n, note=str(n))) for n in range(1, 6)]
        seen = []
        with self.handler(lambda doc, ex: seen.append(ex.message_id) or Outcome()):
            self.drain()
        self.assertEqual(
            [each for each in seen if each != urgent.message_id],
            [receipt.message_id for receipt in receipts],
        )

    def test_a_parked_head_blocks_its_key_only(self):
        head = self.accept(self.body(1))
        behind = self.accept(self.body(2))
        other = self.accept(self.body(3, order_no="LAB-2"))

        def apply(document, exchange):
            if exchange.message_id == head.message_id:
                raise HealthError("demo.unknown", MAPPING)
            return Outcome()

        with self.handler(apply):
            self.drain()
        self.assertEqual(self.message(head).state, "parked")
        self.assertEqual(self.message(head).behind, 1)
        self.assertEqual(self.message(behind).state, "waiting")
        self.assertTrue(self.message(behind).is_behind)
        self.assertEqual(self.message(other).state, "done")
        self.message(head).action_process_again()
        self.drain()
        self.assertEqual(self.message(head).state, "done")
        self.assertEqual(self.message(behind).state, "done")

    def test_cancelling_an_exceptions_messages_lets_the_others_go_on(self):
        head = self.accept(self.body(1, test="NEW"))
        behind = self.accept(self.body(2))
        self.drain()
        exception = self.message(head).exception_id
        wizard = (
            self.env["health.message.cancel"]
            .with_context(active_model=exception._name, active_ids=exception.ids)
            .create({"reason": "not ours"})
        )
        self.assertEqual(wizard.count, 1)
        wizard.action_cancel()
        self.drain()
        self.assertEqual(self.message(head).state, "cancelled")
        self.assertEqual(self.message(behind).state, "done")
        self.assertEqual(exception.state, "closed")

    def test_what_was_set_back_while_its_head_was_released_is_found(self):
        """The release does not see a message set back by a transaction at the same
        moment; the cron brings it back."""
        receipt = self.accept(self.body())
        self.env.cr.execute(
            "UPDATE health_message SET state = 'waiting', next_try_at = %s",
            [states.BEHIND],
        )
        self.drain()
        self.assertEqual(self.message(receipt).state, "waiting")
        with self.enter_registry_test_mode():
            self.env.ref("health_connector.cron_dispatch").method_direct_trigger()
        self.drain()
        self.assertEqual(self.message(receipt).state, "done")

    def test_a_run_of_one_key_is_one_batch_in_order(self):
        receipts = [self.accept(self.body(number)) for number in range(5)]
        with self.enter_registry_test_mode():
            claimed = self.env["health.drain"]._claim(self.backend, "me")
        self.assertEqual(claimed, [receipt.message_id for receipt in receipts])

    def test_what_follows_a_failure_in_its_batch_is_not_applied(self):
        receipts = [self.accept(self.body(number)) for number in range(5)]
        third, seen = receipts[2].message_id, []

        def apply(document, exchange):
            if exchange.message_id == third:
                raise HealthError("demo.busy", TRANSIENT)
            seen.append(exchange.message_id)
            return Outcome()

        with self.handler(apply):
            self.drain()
        # those before the failure are undone with it and applied again
        self.assertEqual(set(seen), {receipt.message_id for receipt in receipts[:2]})
        states_now = [self.message(receipt).state for receipt in receipts]
        self.assertEqual(states_now, ["done", "done", "waiting", "pending", "pending"])
        self.assertEqual([self.message(each).tries for each in receipts[3:]], [0, 0])

    def test_a_refused_batch_is_applied_singly_and_in_order(self):
        """A failure that only the commit of the batch would show."""
        receipts = [self.accept(self.body(number)) for number in range(4)]
        second, seen = receipts[1].message_id, []
        finish = self.env.registry["health.pipeline"]._finish

        def refuse(pipeline, works):
            if second in [work.id for work in works]:
                raise HealthError("demo.commit", MAPPING)
            seen.extend(work.id for work in works)
            return finish(pipeline, works)

        pipeline = self.env.registry["health.pipeline"]
        log = "odoo.addons.health_connector.models.health_pipeline"
        with patch.object(pipeline, "_finish", refuse), mute_logger(log):
            self.drain()
        self.assertEqual([each for each in seen], [receipts[0].message_id])
        states_now = [self.message(receipt).state for receipt in receipts]
        self.assertEqual(states_now[:2], ["done", "parked"])
        # back in line: pending, or set to wait behind the parked one
        self.assertLessEqual(set(states_now[2:]), {"pending", "waiting"})
        self.assertEqual([self.message(each).tries for each in receipts[2:]], [0, 0])

    def test_a_run_ends_where_another_interface_begins(self):
        other = self.interface.copy({"code": "demo-other", "state": "live"})
        first = self.accept(self.body(1))
        between = self.accept(self.body(2), interface=other)
        last = self.accept(self.body(3))
        with self.enter_registry_test_mode():
            claimed = self.env["health.drain"]._claim(self.backend, "me")
        self.assertEqual(claimed, [first.message_id])
        self.assertLess(between.message_id, last.message_id)
