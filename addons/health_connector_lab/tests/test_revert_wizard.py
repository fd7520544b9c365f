"""Reverting a result as an operator does it: previewed, refused, once, in order."""

import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .common import BMP, CBC, FT4, LabCase
from .oru import Obr, Obx, Oru, patient


@tagged("post_install", "-at_install")
class TestRevertWizard(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC, BMP)
        self.operator = new_test_user(
            self.env,
            "revert-operator",
            groups="health_base.group_operator",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )

    def wizard(self, message, user=None, reason="samples mixed up"):
        wizards = self.env["health.message.revert"].with_user(user or self.operator)
        return wizards.create({"message_id": message.id, "reason": reason})

    def seen(self, wizard):
        """What the dialog shows: the preview and the refusal."""
        with self.enter_registry_test_mode():
            return wizard.preview, wizard.refusal

    def assert_refused(self, message, words):
        wizard = self.wizard(message)
        preview, refusal = self.seen(wizard)
        self.assertIn(words, refusal)
        self.assertFalse(preview)
        state = message.state
        with self.assertRaisesRegex(UserError, words):
            wizard.action_revert()
        message.invalidate_recordset()
        self.assertEqual(message.state, state)

    def test_previewed_then_undone_with_evidence(self):
        message = self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        wizard = self.wizard(message)
        self.assertEqual(
            self.seen(wizard),
            (
                f"T-1, {CBC}: from Final back to Ordered\n"
                f"T-1, {BMP}: from Final back to Ordered",
                "",
            ),
        )
        self.assertEqual((self.order.state, message.state), ("final", "done"))
        wizard.action_revert()
        self.assertEqual(self.order.state, "ordered")
        self.assertEqual(
            (message.state, message.reason), ("reverted", "samples mixed up")
        )
        attempt = message.attempt_ids[0]
        self.assertEqual((attempt.step, attempt.outcome), ("revert", "reverted"))
        self.assertEqual(
            attempt.params, {"user": self.operator.id, "reason": "samples mixed up"}
        )

    def test_a_test_that_the_laboratory_added_goes(self):
        self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        message = self.report(Obr(FT4, "F-3"))
        preview, _refusal = self.seen(self.wizard(message))
        self.assertEqual(preview, f"T-1, {FT4}: goes, the laboratory had added it")
        self.assertEqual(len(self.order.line_ids), 3)

    def test_not_twice(self):
        message = self.report(Obr(CBC, "F-1"))
        first, second = self.wizard(message), self.wizard(message)
        first.action_revert()
        with self.assertRaisesRegex(UserError, "no effect"):
            second.action_revert()
        self.assertEqual(len(message.attempt_ids.filtered("params")), 1)
        self.assert_refused(message, "no effect")

    def test_not_after_a_later_result(self):
        first = self.report(Obr(CBC, at=self.at(0)), Obr(BMP, at=self.at(0)))
        self.report(Obr(CBC, "", "C", self.at(1), (Obx("C"),)))
        before = self.order.line_ids.read()
        self.assert_refused(first, "later")
        self.order.invalidate_recordset()
        self.assertEqual(self.order.line_ids.read(), before)

    def test_not_when_the_clinic_has_cancelled_the_order_since(self):
        message = self.report(Obr(CBC, "F-1"))
        self.order.action_cancel()
        self.assert_refused(message, "cancelled after this result")
        self.assertEqual(self.order.state, "cancelled")

    def test_not_while_another_of_its_order_key_is_open(self):
        message = self.report(Obr(CBC, "F-1"))
        correction = Obr(CBC, "F-1", "C", self.at(2), (Obx("C"),))
        later = self.accept(
            Oru(
                tests=(correction,),
                control_id="C9",
                placer="T-1",
                identifiers=patient("MRN1"),
            )
        )
        for state in ("pending", "processing", "waiting", "parked"):
            self.env.cr.execute(
                "UPDATE health_message SET state = %s WHERE id = %s", [state, later.id]
            )
            self.assert_refused(message, "same subject")
        later.invalidate_recordset()

    def test_a_replay_of_a_reverted_result_brings_it_back(self):
        message = self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        self.wizard(message).action_revert()
        replay = (
            self.env["health.replay"]
            .with_user(self.operator)
            .with_company(self.company)
            .create({"reason": "was right", "domain": str([("id", "=", message.id)])})
        )
        with self.enter_registry_test_mode():
            replay.action_preview()
        self.assertEqual((replay.preview_change, replay.preview_noop), (1, 0))
        replay.action_start()
        self.env["health.replay.batch"]._run(replay)
        self.drain()
        copy = self.env["health.message"].search([("replay_id", "=", replay.id)])
        self.assertEqual((copy.state, self.order.state), ("done", "final"))
        self.assertEqual(self.order.result_message_id, copy)
        self.assertEqual(message.state, "reverted")

    def test_a_replay_of_what_is_known_is_a_no_op_as_previewed(self):
        message = self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        replay = self.env["health.replay"].create(
            {"reason": "again", "domain": str([("id", "=", message.id)])}
        )
        with self.enter_registry_test_mode():
            replay.action_preview()
        self.assertEqual((replay.preview_change, replay.preview_noop), (0, 1))
        replay.action_start()
        self.env["health.replay.batch"]._run(replay)
        self.drain()
        self.env.invalidate_all()
        self.assertEqual((replay.done, replay.no_op), (0, 1))

    def test_operators_only_and_with_a_reason(self):
        message = self.report(Obr(CBC, "F-1"))
        viewer = new_test_user(
            self.env,
            "revert-viewer",
            groups="health_base.group_viewer",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        with self.assertRaises(AccessError):
            self.wizard(message, viewer)
        with self.assertRaises(UserError):
            self.env["health.revert"].with_user(viewer)._revert(
                message.with_user(viewer), "because"
            )
        with self.assertRaises(UserError):
            self.wizard(message, reason=" ").action_revert()
        self.assertEqual(message.state, "done")
        self.assertNotIn("samples", json.dumps(message.read(), default=str))
