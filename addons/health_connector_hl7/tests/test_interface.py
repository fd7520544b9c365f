"""What an administrator may and may not save."""

from odoo.exceptions import ValidationError
from odoo.tests import Form, TransactionCase, tagged

from .common import Hl7Mixin


@tagged("post_install", "-at_install")
class TestInterface(Hl7Mixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_hl7()

    def test_one_message_type_leads_to_one_interface(self):
        with self.assertRaises(ValidationError):
            self.hl7.copy({"code": "second", "state": "live"})
        other = self.hl7.copy(
            {"code": "third", "state": "live", "message_types": "ADT^A08"}
        )
        with self.assertRaises(ValidationError):
            other.message_types = "ADT^A08, ORU^R01"
        other.write({"message_types": "ORU^R01", "mllp_port": 20576})

    def test_an_interface_that_is_not_served_takes_nothing_away(self):
        draft = self.hl7.copy({"code": "draft"})
        self.assertEqual(draft.state, "draft")
        with self.assertRaises(ValidationError):
            draft.state = "live"

    def test_mllp_carries_hl7(self):
        with self.assertRaises(ValidationError):
            self.interface.transport = "mllp"

    def test_the_port_is_a_port(self):
        for port in (0, -1, 65536):
            with self.assertRaises(ValidationError):
                self.hl7.mllp_port = port

    def test_keys_must_be_readable_at_the_door(self):
        for source in ("OBX(*)-5", "PATIENT_RESULT(1)/PID-3", "PID"):
            with self.assertRaises(ValidationError):
                self.hl7.order_key_source = source
        self.hl7.order_key_source = "PID-3(2)-1|OBR(2)-3-1"

    def test_the_form_shows_the_settings(self):
        with Form(self.hl7) as form:
            form.ack_mode = "application"
            form.ack_seconds = 5
        self.assertEqual(self.hl7.ack_seconds, 5)
