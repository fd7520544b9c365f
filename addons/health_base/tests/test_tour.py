from odoo.tests import tagged

from .common import BrowserCase, HealthCase


@tagged("post_install", "-at_install")
class TestTour(HealthCase, BrowserCase):
    def test_a_number_in_use_is_refused_in_words(self):
        self.new_patient("Ada Proxyman", self.north, "TMR 900 1")
        self.start_tour(
            "/odoo/health-patients/new", "health_base_identifier_in_use", login="admin"
        )
        new = self.env["res.partner"].search([("name", "=", "Dario Testwood")])
        self.assertEqual(new.identifier_ids.value, "tmr 900 2")
