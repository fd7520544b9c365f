"""HL7 v2 to a partner: what is sent, and what the answer means."""

from unittest.mock import patch

from odoo.exceptions import ValidationError
from odoo.tests import TransactionCase, tagged

from odoo.addons.health_connector.lib.transport import Outgoing
from odoo.addons.health_connector.tests.common_out import Killed, OutboundMixin

from ..lib import er7

LINES = [
    {"target": "msh_3", "source": "id", "default": "ODOO"},
    {"target": "pid_3_1", "source": "ref", "data_class": "identifier"},
    {"target": "pid_5_1", "source": "name"},
]


@tagged("post_install", "-at_install")
class TestTransport(OutboundMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_outbound()
        cls.backend.write({"host": "127.0.0.1", "port": cls.stub.mllp_port})
        cls.partner_mapping.line_ids = [(5, 0, 0), *((0, 0, line) for line in LINES)]
        cls.out = cls.env["health.interface"].create(
            {
                "name": "Patients by MLLP",
                "code": "demo-adt",
                "backend_id": cls.backend.id,
                "direction": "out",
                "transport": "mllp",
                "codec": "hl7v2",
                "message_type": "ADT^A08^ADT_A01",
                "mapping_id": cls.partner_mapping.id,
                "handler": "core.record",
                "state": "live",
                "error_policy_id": cls.slow_policy.id,
            }
        )

    def test_a_record_is_sent_as_a_message_and_acknowledged(self):
        self.record.name = "Zoë"
        message = self.emit()
        self.drain_out()
        self.assertEqual(message.state, "done")
        received = er7.parse(self.stub.received[0]["body"])
        self.assertEqual(received.segment("PID").get(5, 1), "Zoë")
        self.assertEqual(received.header.message_type, "ADT^A08")
        self.assertEqual(received.header.control_id, message.uid[:20])
        self.assertEqual(received.segments[0].raw(18), "UNICODE UTF-8")

    def test_each_answer_by_its_name(self):
        self.out.repeat_safe = False
        for fault, state, code in (
            ("AR", "parked", "mllp.nak_ar.200"),
            ("AE", "parked", "mllp.nak_ae.101"),
            ("AE207", "waiting", "mllp.nak_ae.207"),
            ("wrong-id", "unknown", "mllp.mismatched.msa_2"),
            ("reset", "unknown", "mllp.timeout.ConnectionResetError"),
            ("half-close", "unknown", "mllp.unparsable.cut_off"),
            ("slow", "unknown", "mllp.timeout.no_answer"),
        ):
            message = self.emit(self.record.copy())
            self.stub.faults.append(fault)
            self.drain_out()
            self.assertEqual((message.state, message.error_code), (state, code))
            self.put_off()

    def test_a_doubt_is_ended_by_the_same_control_id(self):
        message = self.emit()
        self.assertTrue(self.out.repeat_safe)
        for fault in ("reset", "garbage", "ok"):
            self.stub.faults.append(fault)
            self.drain_out()
            self.due()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid[:20]] * 3)
        self.assertEqual(len({each["body"] for each in self.stub.received}), 1)

    def test_a_late_answer_is_not_the_next_ones(self):
        self.out.repeat_safe = False
        late, other = self.emit(), self.emit(self.record.copy())
        self.stub.faults.extend(["slow", "AR"])
        self.drain_out()
        self.assertEqual((late.state, other.state), ("unknown", "parked"))

    def test_a_kill_in_the_call_leaves_a_doubt(self):
        message = self.emit()
        client = "odoo.addons.health_connector_hl7.lib.mllp_client.judge"
        with patch(client, side_effect=Killed()):
            self.drain_out_killed()
        self.assertTrue(message.intent_at)
        self.env.cr.execute("UPDATE health_message SET lease_until = accepted_at")
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.effects, [message.uid[:20]])

    def test_nobody_there(self):
        self.backend.port = 1
        transport = self.env["health.plugin"]._get("transport", "mllp")
        with self.enter_registry_test_mode():
            sent = transport._send(
                self.backend,
                self.out,
                Outgoing("a" * 32, b"MSH|^~\\&|||||||A|1|P|2.5\r"),
            )
        self.assertEqual(sent.outcome, "not_delivered")

    def test_what_cannot_be_sent_is_refused_when_it_is_saved(self):
        for values in (
            {"codec": "json"},
            {"message_type": False},
            {"handler": "core.record", "mapping_id": False},
        ):
            with self.assertRaises(ValidationError):
                self.out.write(values)
        self.partner_mapping.line_ids[0].target = "name"
        with self.assertRaises(ValidationError):
            self.out.write({"message_type": "ADT^A31"})
