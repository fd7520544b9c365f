"""Undoing a result, one step."""

from odoo.tests import tagged

from odoo.addons.health_connector.lib.errors import HealthError

from .common import BMP, CBC, FT4, LabCase
from .oru import Obr, Obx


@tagged("post_install", "-at_install")
class TestRevert(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC, BMP)
        self.cbc, self.bmp = self.order.line_ids

    def revert(self, message):
        self.env["health.handler.lab.result"]._revert(message)
        self.env.invalidate_all()

    def assert_superseded(self, message):
        with self.assertRaises(HealthError) as caught:
            self.revert(message)
        self.assertEqual(caught.exception.code, "lab.revert_superseded")
        self.assertEqual(caught.exception.error_class, "conflict")

    def test_the_first_result(self):
        message = self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        self.revert(message)
        self.assertEqual(self.order.state, "ordered")
        self.assertFalse(self.order.result_message_id)
        for line in (self.cbc, self.bmp):
            self.assertEqual((line.result_status, line.result_version), ("ordered", 0))
            self.assertFalse(line.filler_number or line.result_at or line.result_flag)
        again = self.report(Obr(CBC, "F-2"), Obr(BMP, "F-1"))
        self.assertEqual(again.state, "done")
        self.assertEqual(self.order.state, "final")

    def test_what_retention_has_taken_cannot_be_undone(self):
        message = self.report(Obr(CBC, "F-1"))
        self.env.cr.execute(
            "DELETE FROM health_payload WHERE message_id = %s", [message.id]
        )
        with self.assertRaises(HealthError) as caught:
            self.revert(message)
        self.assertEqual(caught.exception.code, "revert.content_gone")

    def test_a_correction(self):
        first = self.report(Obr(CBC, "F-1", at=self.at(0)))
        self.report(Obr(BMP, "F-2", at=self.at(1)))
        correction = Obr(CBC, "F-1", "C", self.at(2), (Obx("C", "HH"),))
        message = self.report(correction)
        self.assertEqual(self.order.state, "corrected")
        self.revert(message)
        self.assertEqual(self.order.state, "final")
        self.assertEqual(self.cbc.result_version, 1)
        self.assertEqual(self.cbc.result_flag, "normal")
        self.assertEqual(self.cbc.result_message_id, first)
        self.assertEqual(self.order.result_at, self.bmp.result_at)
        self.assert_superseded(first)

    def test_a_test_that_the_laboratory_added(self):
        self.report(Obr(CBC, "F-1"), Obr(BMP, "F-2"))
        message = self.report(Obr(FT4, "F-3"))
        self.assertEqual(len(self.order.line_ids), 3)
        self.revert(message)
        self.assertEqual(self.order.line_ids, self.cbc | self.bmp)
        self.report(Obr(FT4, "F-3"))
        self.assertEqual(len(self.order.line_ids), 3)

    def test_not_after_a_later_result(self):
        first = self.report(Obr(CBC, at=self.at(0)), Obr(BMP, at=self.at(0)))
        self.report(Obr(CBC, "", "C", self.at(1), (Obx("C"),)))
        self.assert_superseded(first)
        self.assertEqual(self.bmp.result_status, "final")

    def test_not_one_order_of_two(self):
        second = self.new_order("T-2", CBC)
        both = self.report(
            Obr(CBC, at=self.at(0)), Obr(CBC, "", at=self.at(0), placer="T-2")
        )
        self.report(Obr(CBC, "", "C", self.at(1), (Obx("C"),), placer="T-2"))
        self.assert_superseded(both)
        self.assertEqual(self.cbc.result_status, "final")
        self.assertEqual(second.state, "corrected")
