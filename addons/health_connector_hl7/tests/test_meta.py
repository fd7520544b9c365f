"""Every model of the addon is governed."""

from odoo.tests import TransactionCase, tagged

from odoo.addons.health_base.tests.common_meta import guard_faults


@tagged("post_install", "-at_install")
class TestMeta(TransactionCase):
    def test_models_are_guarded(self):
        self.assertEqual(guard_faults(self.env, "health_connector_hl7"), [])
