"""Configuration is checked when it is saved, with an answer that helps."""

import json

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import ConnectorCase


@tagged("post_install", "-at_install")
class TestConfiguration(ConnectorCase):
    def test_a_contract_must_be_a_schema(self):
        contracts = self.env["health.contract"]
        with self.assertRaisesRegex(ValidationError, "not JSON"):
            contracts.create({"name": "x", "schema": "{"})
        with self.assertRaisesRegex(ValidationError, "2020-12"):
            contracts.create({"name": "y", "schema": json.dumps({"type": "word"})})

    def test_a_mapping_must_compile(self):
        for line in (
            {"target": "Bad Target", "source": "a"},
            {"target": "a", "source": "]["},
            {"target": "a", "source": "a", "converter": "magic"},
            {"target": "list[].a", "source": "a"},
        ):
            with self.subTest(line), self.assertRaises(ValidationError):
                self.env["health.mapping"].create(
                    {"name": "x", "codec": "json", "line_ids": [(0, 0, line)]}
                )

    def test_an_interface_must_be_complete_to_go_live(self):
        self.interface.state = "draft"
        self.interface.handler = False
        with self.assertRaisesRegex(ValidationError, "handler"):
            self.interface.state = "live"

    def test_mapping_and_interface_share_a_codec(self):
        with self.assertRaisesRegex(ValidationError, "codec"):
            self.interface.codec = "csv"

    def test_key_sources_must_compile(self):
        with self.assertRaisesRegex(ValidationError, "expression"):
            self.interface.order_key_source = "]["

    def test_the_field_policy_names_known_classes(self):
        with self.assertRaisesRegex(ValidationError, "gossip"):
            self.interface.data_classes = "administrative,gossip"

    def test_the_field_policy_leaves_out_other_classes(self):
        tree = self.body(note="private")
        self.assertNotIn("note", self.interface._translated(tree))
        self.interface.data_classes = "administrative,identifier,clinical"
        self.assertEqual(self.interface._translated(tree)["note"], "private")

    def test_a_changed_line_takes_effect_at_once(self):
        tree = {**self.body(), "other": "LAB-9"}
        self.assertEqual(self.interface._translated(tree)["order"], "LAB-1")
        self.interface.mapping_id.line_ids[0].source = "other"
        self.assertEqual(self.interface._translated(tree)["order"], "LAB-9")

    def test_code_maps_answer_a_batch_with_one_query(self):
        wanted = [("demo.tests", "CBC"), ("demo.tests", "NONE"), ("other", "CBC")]
        translate = self.env["health.code.map"]._translate
        company = self.backend.company_id
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertQueryCount(1):
            table = translate(company, wanted)
        self.assertEqual(table, {("demo.tests", "CBC"): "58410-2"})

    def test_code_map_lines_hold_between_their_dates(self):
        self.code_map.line_ids.valid_to = "2000-01-01"
        table = self.env["health.code.map"]._translate(
            self.backend.company_id, [("demo.tests", "CBC")]
        )
        self.assertEqual(table, {})

    def test_a_secret_is_never_readable(self):
        secret = self.env["health.secret"].create(
            {"name": "Key", "backend_id": self.backend.id}
        )
        secret._set_value("a-long-and-random-value-1234")
        self.assertEqual(secret.last4, "1234")
        self.assertNotIn("a-long-and", json.dumps(secret.read(), default=str))
        copied = secret.copy()
        self.assertFalse(copied.digest)
