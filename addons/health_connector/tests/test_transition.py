"""The funnel moves states by the table, and nothing else does."""

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..lib import states
from ..lib.errors import HealthError
from .common import ConnectorCase

#: origin -> targets, written out once more: a move that is added to the table or left
#: out of it is a decision, and this test is where it is noticed
LEGAL = {
    "pending": "processing waiting cancelled",
    "waiting": "pending processing cancelled",
    "processing": "done ignored waiting parked unknown pending",
    "parked": "pending cancelled",
    "unknown": "processing done waiting parked cancelled",
    "done": "reverted",
    "ignored": "",
    "cancelled": "",
    "reverted": "",
}


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

    def test_every_pair_of_states(self):
        labels = dict(self.env["health.message"]._fields["state"].selection)
        self.assertEqual(set(LEGAL), set(labels))
        self.assertEqual(set(LEGAL), set(states.STATES))
        for origin, targets in LEGAL.items():
            for target in LEGAL:
                with self.subTest(origin=origin, target=target):
                    self._put(origin)
                    if target in targets.split():
                        self.item._transition(target, {self.item.id: {}})
                        self.assertEqual(self.item.state, target)
                    else:
                        with self.assertRaises(HealthError) as caught:
                            self.item._transition(target, {self.item.id: {}})
                        self.assertEqual(caught.exception.code, "message.illegal_move")
                        self.assertEqual(self.item.state, origin)

    def test_one_row_that_may_not_move_is_told_of(self):
        """Of many; the caller's transaction ends with none of them moved."""
        other = self.message(self.accept(self.body(2)))
        self._put("done")
        with self.assertRaises(HealthError) as caught:
            self.env["health.message"]._transition(
                "waiting", {self.item.id: {}, other.id: {}}
            )
        self.assertEqual(caught.exception.params["target"], "waiting")
        self.assertIn(self.item.id, caught.exception.params["messages"])
        self.assertEqual((self.item.state, other.state), ("done", "pending"))

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
