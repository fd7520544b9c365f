"""The sender as a plug-in."""

from odoo.tests import TransactionCase, tagged

from odoo.addons.health_connector.lib.committer import Committer
from odoo.addons.health_connector.lib.memory_store import MemoryStore

from ..lib.loopback import Loopback
from .common import Hl7Mixin, message


@tagged("post_install", "-at_install")
class TestTransport(Hl7Mixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_hl7()
        cls.transport = cls.env["health.plugin"]._get("transport", "mllp")

    def test_sent_and_acknowledged(self):
        with Loopback(Committer, MemoryStore()) as partner:
            self.backend.write({"host": "127.0.0.1", "port": partner.port})
            outcome = self.transport._send(self.backend, message())
        self.assertEqual((outcome.kind, outcome.ack_code), ("acked", "AA"))
        self.assertEqual(partner.store.units[0].raw, message())

    def test_nobody_there(self):
        self.backend.write({"host": "127.0.0.1", "port": 1, "connect_timeout": 1})
        outcome = self.transport._send(self.backend, message())
        self.assertEqual(outcome.delivery, "not_delivered")
