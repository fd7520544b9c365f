"""A route to a partner: what was accepted is passed on as it came."""

import json

from odoo.exceptions import ValidationError
from odoo.tests import TransactionCase, tagged

from ..lib import route
from ..lib.accept import Channel, Incoming, accept
from .common_out import OutboundMixin


@tagged("post_install", "-at_install")
class TestForward(OutboundMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_outbound(
            handler="core.forward", mapping_id=False, answer_id_source=False
        )
        cls.way = cls.env["health.route"].create(
            {"entry_id": cls.interface.id, "target_id": cls.out.id}
        )

    def _accept(self, body):
        entry = self.interface
        entry.flush_recordset()
        channel = Channel(entry.id, self.backend.id, entry.company_id.id)
        ways = route.keys(entry.route_table, lambda source: "")
        raw = json.dumps(body, indent=3).encode()
        unit = Incoming(channel, raw, body["id"], body["order_no"], **ways)
        return raw, accept(self.env.cr, self.ring, [unit])[0]

    def test_the_partner_gets_the_very_bytes(self):
        raw, receipt = self._accept(self.body())
        copy = self.env["health.message"].search([("origin_id", "!=", False)])
        self.assertEqual((copy.direction, copy.interface_id), ("out", self.out))
        self.drain_out()
        self.assertEqual(copy.state, "done")
        self.assertEqual(self.stub.received[0]["body"], raw)
        self.assertEqual(self.stub.received[0]["key"], copy.uid)
        self.assertEqual(self.message(receipt).state, "pending", "has its own way")

    def test_messages_of_one_key_are_passed_on_in_order(self):
        for number in range(3):
            self._accept(self.body(number))
        self.stub.faults.extend(["ok", "503"])
        self.drain_out()
        copies = self.env["health.message"].search(
            [("origin_id", "!=", False)], order="id"
        )
        self.assertEqual(copies.mapped("state"), ["done", "waiting", "pending"])

    def test_what_is_sent_cannot_be_a_shadow(self):
        with self.assertRaises(ValidationError):
            self.way.mode = "shadow"
