"""The whole search, or those that are ticked: never a part of what was meant."""

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestChoice(ConnectorCase):
    def setUp(self):
        super().setUp()
        receipts = [
            self.accept(self.body(n, test="ZZ", order_no=f"K{n}")) for n in range(5)
        ]
        self.drain()
        self.items = self.env["health.message"].browse(r.message_id for r in receipts)
        self.assertEqual(set(self.items.mapped("state")), {"parked"})

    def context(self, ids, whole, model="health.message"):
        return {
            "active_model": model,
            "active_ids": ids,
            "active_domain": [("interface_id", "=", self.interface.id)],
            "domain_selected": whole,
        }

    def cancel(self, **context):
        wizard = self.env["health.message.cancel"].with_context(**context)
        wizard = wizard.create({"reason": "test"})
        count = wizard.count
        wizard.action_cancel()
        self.items.invalidate_recordset()
        return count, len(self.items.filtered(lambda item: item.state == "cancelled"))

    def test_ticked_rows_are_those_rows(self):
        self.assertEqual(self.cancel(**self.context(self.items[:2].ids, False)), (2, 2))

    def test_the_whole_search_is_more_than_the_ids_the_client_sent(self):
        self.assertEqual(self.cancel(**self.context(self.items[:2].ids, True)), (5, 5))

    def test_one_message_is_one_whatever_is_left_in_the_context(self):
        self.assertEqual(self.cancel(**self.context(self.items[:1].ids, True)), (1, 1))

    def test_the_messages_of_an_exception(self):
        exception = self.items.exception_id
        self.assertEqual(len(exception), 1)
        context = self.context(exception.ids, True, "health.exception")
        context["active_domain"] = [("id", "=", exception.id)]
        self.assertEqual(self.cancel(**context), (5, 5))
        self.assertEqual(exception.state, "closed")

    def test_what_is_accepted_after_the_dialog_opened_is_not_meant(self):
        wizard = self.env["health.message.cancel"].with_context(
            **self.context(self.items[:2].ids, True)
        )
        wizard = wizard.create({"reason": "test"})
        late = self.message(self.accept(self.body(9, test="ZZ", order_no="K9")))
        wizard.action_cancel()
        self.assertEqual(late.state, "pending")

    def test_only_open_ones_are_cancelled(self):
        self.items[:3]._cancel("before")
        context = self.context(self.items.ids, False)
        wizard = self.env["health.message.cancel"].with_context(**context)
        wizard = wizard.create({"reason": "test"})
        self.assertEqual(wizard.count, 2)
        wizard.action_cancel()
        self.assertEqual(self.items[0].reason, "before")
        with self.assertRaises(UserError):
            wizard.action_cancel()

    def test_process_again_takes_the_whole_search(self):
        chosen = self.items[:2].with_context(**self.context(self.items[:2].ids, True))
        chosen.action_process_again()
        self.items.invalidate_recordset()
        self.assertEqual(set(self.items.mapped("state")), {"pending"})

    def test_process_again_takes_the_ticked_rows(self):
        chosen = self.items[:2].with_context(**self.context(self.items[:2].ids, False))
        chosen.action_process_again()
        self.items.invalidate_recordset()
        self.assertEqual(self.items.mapped("state").count("pending"), 2)
