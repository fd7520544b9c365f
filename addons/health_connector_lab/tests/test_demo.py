"""What a demonstration finds, and what is shipped to everyone."""

import json

from odoo.tests import TransactionCase, tagged
from odoo.tools import file_open

from .oru import Oru, patient


@tagged("post_install", "-at_install")
class TestShipped(TransactionCase):
    def test_the_contract_is_the_file(self):
        contract = self.env.ref("health_connector_lab.contract_lab_result_1_0")
        path = "health_connector_lab/contracts/lab.result-1.0.json"
        with file_open(path) as file:
            self.assertEqual(json.loads(contract.schema), json.load(file))
        self.assertEqual(contract.reference, "lab.result/1.0")

    def test_the_mapping_reads_no_value_and_no_name(self):
        mapping = self.env.ref("health_connector_lab.mapping_lab_result_oru")
        sources = " ".join(mapping.line_ids.mapped("source"))
        for place in ("OBX-5", "PID-5", "PID-7", "OBX-3", "NTE", "PID-11"):
            self.assertNotIn(place, sources)

    def test_every_cause_has_its_playbook(self):
        path = "health_connector_lab/models/health_handler_lab_result.py"
        with file_open(path) as file:
            codes = {word for word in file.read().split('"') if word[:4] == "lab."}
        codes -= {"lab.result"}
        books = self.env["health.playbook"].search([("code", "in", list(codes))])
        self.assertEqual(set(books.mapped("code")), codes)
        for book in books:
            self.assertTrue(book.next_step)


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    def test_sixty_orders_of_three_clinics(self):
        orders = self.env["health.lab.order"].search(
            [("placer_number", "=like", "LAB-0000__")]
        )
        demo = orders.filtered(lambda order: order.placer_number <= "LAB-000060")
        self.assertEqual(len(demo), 60)
        self.assertEqual(len(demo.clinic_id), 3)
        self.assertEqual(len(demo.partner_id), 60)
        for order in demo:
            self.assertIn(len(order.line_ids), (1, 2, 3))
            self.assertEqual(order.clinic_id, order.partner_id.clinic_id)
            self.assertIn(order.clinic_id, order.practitioner_id.clinic_ids)
        number = self.env["health.lab.order"]._next_number()
        self.assertNotIn(number, demo.mapped("placer_number"))

    def test_both_doors_are_open(self):
        mllp = self.env.ref("health_connector_lab.interface_northlab_oru")
        http = self.env.ref("health_connector_lab.interface_northlab_oru_http")
        self.assertEqual((mllp.code, http.code), ("northlab-oru", "northlab-oru-http"))
        self.assertEqual({mllp.state, http.state}, {"live"})
        self.assertEqual(mllp.mllp_port, 2575)
        self.assertEqual(mllp.backend_id, http.backend_id)

    def test_a_document_of_the_demo_interface(self):
        interface = self.env.ref("health_connector_lab.interface_northlab_oru")
        raw = Oru("D1", "LAB-000001", patient("MRN100001"), sent="20250701120000")
        tree = self.env["health.codec.hl7v2"]._decode(raw.render(), "")
        self.assertEqual(
            interface._translated(tree),
            {
                "sent_at": "2025-07-01T16:00:00Z",
                "receiving_facility": "GROUP",
                "reports": [
                    {
                        "unit": "LAB",
                        "identifiers": [
                            {
                                "value": "MRN100001",
                                "system": "HEALTHGROUP",
                                "type": "MR",
                            }
                        ],
                        "orders": [
                            {
                                "placer_number": "LAB-000001",
                                "placer_authority": "HEALTHGROUP",
                                "test": {"code": "58410-2", "system": "LN"},
                                "status": "final",
                                "observations": [{"status": "final", "flag": "normal"}],
                            }
                        ],
                    }
                ],
            },
        )
