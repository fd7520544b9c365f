"""The funnel moves states by the table, and nothing else does."""

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..lib import states
from ..lib.errors import HealthError
from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestTransition(ConnectorCase):
    def setUp(self):
        super().setUp()
        self.item = self.message(self.accept(self.body()))

    def _put(self, state):
        self.env.cr.execute(
            "UPDATE health_message SET state = %s WHERE id = %s", [state, self.item.id]
        )
        self.item.invalidate_recordset()

    def test_every_pair_follows_the_table(self):
        for origin in states.STATES:
            for target in states.STATES:
                with self.subTest(origin=origin, target=target):
                    self._put(origin)
                    if target in states.MOVES[origin]:
                        self.item._transition(target, {self.item.id: {}})
                        self.assertEqual(self.item.state, target)
                    else:
                        with self.assertRaises(HealthError) as caught:
                            self.item._transition(target, {self.item.id: {}})
                        self.assertEqual(caught.exception.code, "message.illegal_move")
                        self.assertEqual(self.item.state, origin)

    def test_values_are_set_with_the_move(self):
        self._put("parked")
        self.item._transition("cancelled", {self.item.id: {"reason": "sent in error"}})
        self.assertEqual(self.item.reason, "sent in error")

    def test_records_cannot_be_edited_or_deleted(self):
        for act in (lambda: self.item.write({"state": "done"}), self.item.unlink):
            with self.assertRaises(UserError):
                act()
        payload = self.item.payload_ids
        self.assertEqual(payload.stage, "raw")
        for act in (lambda: payload.write({"size": 1}), payload.unlink):
            with self.assertRaises(UserError):
                act()
