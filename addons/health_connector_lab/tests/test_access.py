"""Who sees which orders, and how much of them."""

import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.health_base.tests.common_meta import guard_faults

from .common import BMP, CBC, LabCase
from .oru import Obr


@tagged("post_install", "-at_install")
class TestAccess(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.order = cls.new_order("T-1", CBC)
        cls.clerk = cls.new_user("t-clerk", "health_base.group_user")
        cls.viewer = cls.new_user("t-viewer", "health_base.group_viewer")
        cls.operator = cls.new_user("t-operator", "health_base.group_operator")

    @classmethod
    def new_user(cls, login, groups):
        return new_test_user(
            cls.env,
            login=login,
            groups=groups,
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

    def as_user(self, user):
        return self.order.with_user(user).with_company(self.company)

    def test_every_model_is_guarded(self):
        self.assertEqual(guard_faults(self.env, "health_connector_lab"), [])

    def test_a_viewer_sees_neither_patient_nor_flag(self):
        order = self.as_user(self.viewer)
        self.assertEqual(order.placer_number, "T-1")
        with self.assertRaises(AccessError):
            order.read(["partner_id"])
        with self.assertRaises(AccessError):
            order.line_ids.read(["result_flag"])
        views = order.get_views([(False, "list"), (False, "form"), (False, "search")])
        models = views["models"]
        self.assertNotIn("partner_id", models["health.lab.order"]["fields"])
        self.assertNotIn("result_flag", json.dumps(views["views"]))

    def test_an_operator_sees_the_patient_and_changes_nothing(self):
        order = self.as_user(self.operator)
        self.assertEqual(order.partner_id, self.jane)
        with self.assertRaises(AccessError):
            order.write({"state": "cancelled"})

    def test_nobody_reads_what_was_before(self):
        for user in (self.clerk, self.operator):
            with self.assertRaises(AccessError):
                self.as_user(user).line_ids.read(["result_before"])

    def test_other_clinics_are_not_seen(self):
        self.clerk.sudo().clinic_ids = self.other_clinic
        orders = self.env["health.lab.order"].with_user(self.clerk)
        lines = self.env["health.lab.order.line"].with_user(self.clerk)
        self.assertFalse(orders.search([("id", "=", self.order.id)]))
        self.assertFalse(lines.search([("order_id", "=", self.order.id)]))
        self.clerk.sudo().clinic_ids = self.clinic
        self.assertTrue(orders.search([("id", "=", self.order.id)]))

    def test_other_companies_are_not_seen(self):
        stranger = new_test_user(
            self.env,
            login="t-stranger",
            groups="health_base.group_user,health_base.group_administrator",
            company_id=self.env.ref("base.main_company").id,
            company_ids=[(6, 0, self.env.ref("base.main_company").ids)],
        )
        found = (
            self.env["health.lab.order"]
            .with_user(stranger)
            .with_context(allowed_company_ids=stranger.company_ids.ids)
        )
        self.assertFalse(found.search([("id", "=", self.order.id)]))

    def test_a_number_is_used_once_in_a_company(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(Exception) as caught:
            self.new_order("T-1", CBC)
        self.assertIn("placer_uniq", str(caught.exception))


@tagged("post_install", "-at_install")
class TestScreens(LabCase):
    """Placing and cancelling an order, as a clerk does it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = new_test_user(
            cls.env,
            login="t-clerk",
            groups="health_base.group_user",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )
        cls.orders = cls.env["health.lab.order"].with_user(cls.clerk)

    def test_place_and_cancel(self):
        with Form(self.orders) as form:
            form.partner_id = self.jane
            self.assertEqual(form.clinic_id, self.clinic)
            with form.line_ids.new() as line:
                line.product_id = self.products[BMP]
                self.assertEqual(line.code, BMP)
        order = form.record
        self.assertEqual(order.state, "draft")
        self.assertTrue(order.placer_number)
        order.action_place()
        self.assertEqual(order.state, "ordered")
        with self.assertRaises(UserError):
            order.unlink()
        order.action_cancel()
        self.assertEqual(order.state, "cancelled")
        order.action_reopen()
        self.assertEqual(order.state, "ordered")

    def test_an_order_without_tests_is_not_placed(self):
        with Form(self.orders) as form:
            form.partner_id = self.jane
        with self.assertRaises(UserError):
            form.record.action_place()
        form.record.unlink()

    def test_a_copy_starts_anew(self):
        order = self.new_order("T-1", CBC)
        self.report()
        self.assertEqual(order.state, "final")
        copy = order.copy()
        self.assertEqual(
            (copy.state, copy.line_ids.result_status), ("draft", "ordered")
        )
        self.assertNotEqual(copy.placer_number, "T-1")
        self.assertFalse(copy.line_ids.result_message_id)

    def test_a_reported_test_is_not_removed(self):
        order = self.new_order("T-1", CBC, BMP)
        self.report(Obr(CBC, "F-1", "I", observations=()))
        self.assertEqual(order.state, "ordered")
        with self.assertRaises(UserError):
            order.line_ids[0].with_user(self.clerk).unlink()
        order.line_ids[1].with_user(self.clerk).unlink()
        self.assertEqual(order.line_ids.code, CBC)

    def test_messages_of_an_order(self):
        order = self.new_order("T-1", CBC)
        message = self.report()
        action = order.action_open_messages()
        found = self.env["health.message"].search(action["domain"])
        self.assertEqual(found, message)

    def test_the_window_opens_for_its_users(self):
        window = self.env.ref("health_connector_lab.health_lab_order_action")
        for group in ("group_user", "group_viewer", "group_operator"):
            user = new_test_user(
                self.env, login=f"t-{group}", groups=f"health_base.{group}"
            )
            orders = self.env["health.lab.order"].with_user(user)
            views = orders.get_views([*window.views, (False, "search")])["views"]
            self.assertLessEqual({"list", "kanban", "form", "search"}, set(views))
