"""The wiring of the listener: settings, accepting and outcomes through SQL.

The test's cursor stands in for the connection of the listener; the process itself is
proved in tests/e2e.
"""

import os

from odoo.tests import TransactionCase, tagged

from odoo.addons.health_connector.lib.gateway import GatewayCore, Options

from ..gateway import MllpPart, problem_of
from ..lib.intake import open_frame
from .common import BODY, Hl7Mixin, message

PORT = 20575


@tagged("post_install", "-at_install")
class TestListener(Hl7Mixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["health.interface"].search([]).write({"state": "retired"})
        cls.set_up_hl7(mllp_port=PORT)
        cls.part = MllpPart()
        options = Options({}, os.environ["HEALTH_KEYRING"])
        cls.core = GatewayCore(options, [cls.part])

    def doors(self):
        """What the listener would listen on now."""
        published = {}
        self.core.publish = published.__setitem__
        self.env.flush_all()
        self.core.refresh(self.env.cr)
        return published[self.part]

    def receive(self, raw):
        """One frame through the door, the store and back: verdicts and answer."""
        frame = open_frame(raw, self.doors()[PORT])
        for piece in frame.pieces:
            if piece.unit is not None:
                [receipt] = self.core.accept(self.env.cr, [piece.unit])
                piece.settle(receipt)
        return [piece.code for piece in frame.pieces], frame.reply()

    def messages(self):
        return self.env["health.message"].search(
            [("interface_id", "=", self.hl7.id)], order="id"
        )

    def test_live_interfaces_are_served(self):
        self.assertEqual(list(self.doors()), [PORT])
        for state in ("draft", "review", "approved", "retired", "suspended"):
            self.hl7.state = state
            self.assertEqual(list(self.doors()), [], state)

    def test_an_archived_interface_or_backend_is_not_served(self):
        self.hl7.active = False
        self.assertEqual(list(self.doors()), [])
        self.hl7.active = True
        self.backend.active = False
        self.assertEqual(list(self.doors()), [])

    def test_a_paused_backend_still_accepts(self):
        self.backend.write({"paused_in": True, "pause_reason": "upgrade"})
        self.assertEqual(list(self.doors()), [PORT])

    def test_a_suspended_interface_beside_a_live_one_puts_off(self):
        self.hl7.copy({"code": "adt", "message_types": "ADT^A08", "state": "live"})
        self.hl7.state = "suspended"
        codes, answer = self.receive(message())
        self.assertEqual(codes, ["hl7.suspended"])
        self.assertIn(b"\rMSA|AE|C1\r", answer)
        self.assertFalse(self.messages())

    def test_the_standard_port_may_be_moved(self):
        moved = MllpPart({PORT: 99})
        self.assertEqual(list(moved.read_settings(self.env.cr, self.core)), [99])

    def test_accepted_as_the_http_door_does(self):
        codes, answer = self.receive(message())
        self.assertEqual(codes, ["new"])
        stored = self.messages()
        self.assertEqual(stored.external_ref, "C1")
        self.assertEqual(stored.message_type, "ORU^R01")
        self.assertEqual(stored.state, "pending")
        self.assertTrue(stored.order_key)
        payloads = self.env["health.payload"]._open_raw(stored.ids)
        self.assertEqual(payloads[stored.id], (message(), ""))
        self.assertEqual(self.receive(message()), (["duplicate"], answer))
        self.assertEqual(len(self.messages()), 1)

    def test_the_same_message_by_http_is_a_duplicate_of_the_same_interface(self):
        self.receive(message())
        codec = self.env["health.codec.hl7v2"]
        peeked = codec._peek(self.hl7, message(), {})
        door = self.doors()[PORT]
        _flow, unit = door.admit(message())
        self.assertEqual(unit.dedupe_key, peeked["dedupe_key"])

    def test_a_used_control_id_is_kept_as_a_conflict(self):
        self.receive(message())
        codes, answer = self.receive(message(body=BODY + "NTE|1\r"))
        self.assertEqual(codes, ["conflict"])
        self.assertIn(b"|205^Duplicate key identifier^HL70357|E|", answer)
        self.assertEqual(self.messages()[1].conflict_id, self.messages()[0])

    def test_accepted_messages_are_processed(self):
        self.receive(message())
        self.drain()
        self.assertEqual(self.messages().state, "done")

    def test_outcomes_for_senders_that_wait(self):
        self.receive(message())
        stored = self.messages()
        outcomes = lambda: self.core.outcomes(self.env.cr, stored.ids)  # noqa: E731
        self.assertEqual(outcomes(), {})
        self.drain()
        self.assertEqual(outcomes(), {stored.id: ("done", None)})
        self.assertIsNone(problem_of(*outcomes()[stored.id]))
        for error_class, condition in (("mapping", 204), ("bug", 207)):
            self.env.cr.execute(
                "UPDATE health_message SET state = 'parked', error_class = %s "
                "WHERE id = %s",
                [error_class, stored.id],
            )
            problem = problem_of(*outcomes()[stored.id])
            self.assertEqual((problem.condition, problem.verdict), (condition, "E"))
