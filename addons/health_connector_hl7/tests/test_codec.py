"""The codec as the door, the drain and the mapping engine use it."""

from odoo.tests import TransactionCase, tagged

from odoo.addons.health_connector.lib.errors import HealthError
from odoo.addons.health_connector.lib.mapping import Context

from .common import BODY, Hl7Mixin, message


@tagged("post_install", "-at_install")
class TestCodec(Hl7Mixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_hl7()
        cls.codec = cls.env["health.plugin"]._get("codec", "hl7v2")

    def peek(self, raw):
        return self.codec._peek(self.hl7, raw, {})

    def find(self, expression, raw):
        return self.codec._compile(expression)(self.codec._decode(raw, ""))

    def test_peek_reads_the_keys(self):
        peeked = self.peek(message(charset="8859/1"))
        self.assertEqual(peeked["message_type"], "ORU^R01")
        self.assertEqual(peeked["external_ref"], "C1")
        self.assertEqual(peeked["order_key"], "ORD-1")
        self.assertEqual(peeked["charset"], "8859/1")
        self.assertEqual(peeked["dedupe_key"].split("\x1f"), ["LAB", "MAIN", "C1"])

    def test_peek_refuses_with_a_typed_error_without_content(self):
        refused = {
            b"PID|1||SECRET\r": "er7.no_msh",
            message(control_id=""): "er7.header_required",
            message(version="3"): "hl7.version",
            message() + b"NTE|1||\xfc\r": "er7.charset",
            message(body="PID|1||SECRET\rMSH|^~\\&|\r"): "hl7.two_messages",
        }
        for raw, code in refused.items():
            with self.assertRaises(HealthError) as caught:
                self.peek(raw)
            self.assertEqual(caught.exception.code, code)
            self.assertNotIn("SECRET", repr(vars(caught.exception)))

    def test_a_test_message_is_not_for_a_production_system(self):
        self.peek(message(processing="T"))
        self.backend.environment = "production"
        with self.assertRaises(HealthError):
            self.peek(message(processing="T"))

    def test_the_agreed_charset_reads_the_message(self):
        self.hl7.charset = "8859/1"
        raw = message() + b"NTE|1||M\xfcller\r"
        peeked = self.peek(raw)
        tree = self.codec._decode(raw, peeked["charset"])
        self.assertEqual(self.codec._compile("NTE-3")(tree), "Müller")
        self.assertEqual(self.codec._encode(tree), raw)

    def test_unreadable_bytes_are_a_typed_error(self):
        with self.assertRaises(HealthError) as caught:
            self.codec._decode(b"PID|1\r", "")
        self.assertEqual(caught.exception.error_class, "contract")

    def test_the_hl7_null_counts_as_absent(self):
        raw = message(body=BODY.replace("13.2", '""'))
        self.assertIsNone(self.find("OBX-5", raw))
        self.assertEqual(self.find("OBX(*)-3-1", raw), ["718-7"])

    def test_dates_and_times_in_hl7_notation(self):
        converters = self.codec._converters()
        context = Context(timezone="Europe/Berlin")
        read = {
            ("date", "19800229"): "1980-02-29",
            ("date", "198002292359"): "1980-02-29",
            ("datetime", "20260309070000"): "2026-03-09T06:00:00Z",
            ("datetime", "20260309070000-0500"): "2026-03-09T12:00:00Z",
            ("datetime", "20260309"): "2026-03-08T23:00:00Z",
            ("datetime", "2026030907"): "2026-03-09T06:00:00Z",
        }
        for (name, value), expected in read.items():
            self.assertEqual(converters[name](value, context), expected)
        for name, value in [
            ("date", "198002"),
            ("date", "19800230"),
            ("datetime", "2026"),
            ("datetime", "yesterday"),
        ]:
            with self.assertRaises(ValueError):
                converters[name](value, context)

    def test_without_a_mapping_a_message_is_no_document(self):
        """It can be kept, and nothing is read out of it."""
        mapper = self.env["health.interface"].new({"codec": "hl7v2"})._mapper()
        tree = self.env["health.codec.hl7v2"]._decode(b"MSH|^~\\&|A|B\rPID|1\r", "")
        self.assertEqual(mapper(tree).document, {})
