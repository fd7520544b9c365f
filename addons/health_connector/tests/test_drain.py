"""From accepted to done: order, failures, exceptions, and what they tell."""

import json
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..lib.errors import MAPPING, TRANSIENT, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase

WORK_LOG = "odoo.addons.health_connector.models.work"
MARKER = "ZZMARKERZZ"


@tagged("post_install", "-at_install")
class TestDrain(ConnectorCase):
    def test_a_message_is_applied_once_and_shows_its_record(self):
        partner = self.backend.owner_id.partner_id
        receipt, names = self.accept(self.body()), []
        with self.naming(names):
            self.drain()
            self.drain()
        message = self.message(receipt)
        self.assertEqual(names, ["LAB-1"])
        self.assertEqual(message.state, "done")
        self.assertEqual(message.res_model, partner._name)
        self.assertEqual(message.res_id, partner.id)
        self.assertEqual(message.attempt_ids.outcome, "done")
        self.assertEqual(
            sorted(message.payload_ids.mapped("stage")), ["canonical", "raw"]
        )

    def test_an_ignored_message_says_why(self):
        receipt = self.accept(self.body())
        with self.handler(lambda doc, ex: Outcome(ignored="echo")):
            self.drain()
        message = self.message(receipt)
        self.assertEqual((message.state, message.reason), ("ignored", "echo"))

    def test_a_failure_undoes_its_effect_and_spares_its_neighbours(self):
        bad, good = (
            self.accept(self.body(1)),
            self.accept(self.body(2, order_no="LAB-2")),
        )

        def apply(document, exchange):
            made = self.env["res.partner"].create({"name": document["order"]})
            if exchange.message_id == bad.message_id:
                raise HealthError("demo.unknown", MAPPING)
            return Outcome(record=made)

        with self.handler(apply):
            self.drain()
        self.assertFalse(self.env["res.partner"].search([("name", "=", "LAB-1")]))
        self.assertTrue(self.env["res.partner"].search([("name", "=", "LAB-2")]))
        self.assertEqual(self.message(good).state, "done")

    def test_transient_failures_wait_and_then_park(self):
        self.policy(max_tries=3)
        receipt = self.accept(self.body())

        def apply(document, exchange):
            raise HealthError("demo.busy", TRANSIENT)

        message = self.message(receipt)
        with self.handler(apply):
            for tries in (1, 2):
                self.drain()
                self.assertEqual((message.state, message.tries), ("waiting", tries))
                self.assertGreater(message.next_try_at, message.state_at)
                self.env.cr.execute(
                    "UPDATE health_message SET next_try_at = accepted_at"
                )
                message.invalidate_recordset()
            self.drain()
        self.assertEqual((message.state, message.tries), ("parked", 3))
        self.assertEqual(len(message.attempt_ids), 3)
        self.assertEqual(message.exception_id.code, "demo.busy")

    def test_one_cause_is_one_exception(self):
        def apply(document, exchange):
            raise HealthError(
                "demo.unknown",
                MAPPING,
                subject={"order": document["order"]},
                group=("order",),
            )

        orders = ("A", "A", "B")
        for number, order in enumerate(orders):
            self.accept(self.body(number, order_no=order))
        self.interface.order_key_source = False
        self.env.cr.execute("UPDATE health_message SET order_key = NULL")
        with self.handler(apply):
            self.drain()
        found = self.env["health.exception"].search(
            [("interface_id", "=", self.interface.id)]
        )
        self.assertEqual(sorted(found.mapped("message_count")), [1, 2])

    def test_an_exception_closes_when_its_messages_are_done(self):
        receipt = self.accept(self.body(test="NEW"))
        self.drain()
        exception = self.message(receipt).exception_id
        self.assertEqual(exception.code, "mapping.code")
        self.assertIn("NEW", exception.title)
        self.assertIn("demo.tests", exception.next_step)
        self.code_map.write({"line_ids": [(0, 0, {"source": "NEW", "target": "N-1"})]})
        exception.action_process_again()
        self.drain()
        self.assertEqual(self.message(receipt).state, "done")
        self.assertEqual(exception.state, "closed")

    def test_a_document_that_breaks_the_contract_is_parked(self):
        receipt = self.accept({"id": "m1", "test": "CBC", "order_no": ""})
        self.drain()
        exception = self.message(receipt).exception_id
        self.assertEqual(exception.code, "contract.invalid")
        self.assertIn("required order", exception.explanation)

    def test_reused_keys_are_parked_and_nothing_is_overwritten(self):
        first = self.accept(self.body(1))
        again = self.accept(self.body(1))
        other = self.accept(self.body(1, note="changed"))
        repeated = self.accept(self.body(1, note="changed"))
        self.assertEqual(
            [each.verdict for each in (first, again, other, repeated)],
            ["new", "duplicate", "conflict", "conflict"],
        )
        self.assertEqual(again.message_id, first.message_id)
        self.assertEqual(repeated.message_id, other.message_id)
        self.drain()
        self.assertEqual(self.message(first).state, "done")
        self.assertEqual(self.message(other).state, "parked")
        self.assertEqual(self.message(other).exception_id.code, "message.key_reused")

    @mute_logger(WORK_LOG)
    def test_unexpected_faults_keep_no_content(self):
        receipt = self.accept(self.body(1, note=MARKER))
        self.interface.data_classes = "administrative,identifier,clinical"

        def apply(document, exchange):
            raise RuntimeError(document["note"])

        with self.handler(apply), self.assertLogs(WORK_LOG, "WARNING") as logs:
            self.drain()
        message = self.message(receipt)
        self.assertEqual(message.error_code, "bug.RuntimeError")
        kept = json.dumps(
            [
                message.read(),
                message.attempt_ids.read(),
                message.exception_id.read(),
                logs.output,
            ],
            default=str,
        )
        self.assertNotIn(MARKER, kept)
        self.assertIn("test_drain.py", message.attempt_ids.trace)

    def test_business_rules_of_odoo_are_rejections(self):
        receipt = self.accept(self.body())

        def apply(document, exchange):
            raise ValidationError(self.env._("no"))

        with self.handler(apply):
            self.drain()
        self.assertEqual(self.message(receipt).error_class, "rejected")

    def test_a_paused_backend_keeps_its_messages(self):
        receipt = self.accept(self.body())
        self.backend.paused_in = True
        self.drain()
        self.assertEqual(self.message(receipt).state, "pending")
        self.backend.paused_in = False
        self.drain()
        self.assertEqual(self.message(receipt).state, "done")

    def test_an_ended_lease_is_a_failed_try(self):
        receipt = self.accept(self.body())
        self.env.cr.execute(
            """UPDATE health_message SET state = 'processing', tries = 1,
                      lease_owner = 'dead', lease_until = now() - interval '1 day'"""
        )
        self.drain()
        message = self.message(receipt)
        self.assertEqual(message.state, "waiting")
        self.assertEqual(message.attempt_ids.code, "drain.lease_ended")

    def test_a_lost_lease_is_left_to_its_new_owner(self):
        receipt = self.accept(self.body())
        drain, pipeline = self.env["health.drain"], self.env["health.pipeline"]
        with self.enter_registry_test_mode():
            ids = drain._claim(self.backend, "first")
            self.env.cr.execute(
                "UPDATE health_message SET lease_owner = 'second' WHERE id = %s",
                [receipt.message_id],
            )
            self.assertEqual(pipeline._apply_claimed(ids, "first"), [])
        self.env.invalidate_all()
        self.assertEqual(self.message(receipt).state, "processing")

    def test_bindings_are_unique_both_ways(self):
        partner = self.backend.owner_id.partner_id

        def apply(document, exchange):
            exchange.bind(partner, document["order"], "v1")
            return Outcome(record=partner)

        first = self.accept(self.body(1))
        other = self.accept(self.body(2, order_no="LAB-2"))
        again = self.accept(self.body(3))
        with self.handler(apply):
            self.drain()
        self.assertEqual(self.message(first).state, "done")
        self.assertEqual(self.message(again).state, "done")
        self.assertEqual(self.message(other).error_code, "binding.taken")
        found = self.env["health.binding"]._find(
            self.backend, partner._name, ["LAB-1", "LAB-2"]
        )
        self.assertEqual(found, {"LAB-1": (partner.id, "v1")})

    def test_cancelling_needs_a_reason_and_an_operator(self):
        receipt = self.accept(self.body())
        message = self.message(receipt)
        with self.assertRaises(UserError):
            message._cancel(" ")
        message._cancel("sent twice")
        self.assertEqual((message.state, message.reason), ("cancelled", "sent twice"))

    def test_a_viewer_can_neither_cancel_nor_process_again(self):
        receipt = self.accept(self.body(1, test="NEW"))
        self.drain()
        viewer = new_test_user(
            self.env, "health_viewer", groups="health_base.group_viewer"
        )
        message = self.message(receipt).with_user(viewer)
        self.assertEqual(message.state, "parked")
        for act in (
            message.action_process_again,
            lambda: message._cancel("no"),
            message.exception_id.action_process_again,
        ):
            with self.assertRaises(UserError):
                act()
        self.assertEqual(self.message(receipt).state, "parked")

    def test_exceptions_name_what_the_handler_knows_of_the_document(self):
        receipt = self.accept(self.body(test="NEW"))
        handler = self.env.registry["health.handler.keep"]

        def names(_self, document):
            return {"order": document["order"]}

        with patch.object(handler, "_describe", names):
            self.drain()
        self.assertEqual(self.message(receipt).exception_id.subject["order"], "LAB-1")

    def test_a_describing_that_fails_hides_no_failure(self):
        receipt = self.accept(self.body(test="NEW"))
        handler = self.env.registry["health.handler.keep"]
        pipeline = "odoo.addons.health_connector.models.health_pipeline"
        with (
            patch.object(handler, "_describe", lambda _self, _document: 1 / 0),
            self.assertLogs(pipeline, "WARNING"),
        ):
            self.drain()
        self.assertEqual(self.message(receipt).error_code, "mapping.code")

    def test_without_a_mapping_everything_can_be_kept(self):
        self.interface.write({"mapping_id": False, "contract_id": False})
        self.interface.order_key_source = self.interface.dedupe_source = False
        receipts = [self.accept(body) for body in ({"a": 1}, ["a", "b"], "text")]
        self.drain()
        for receipt in receipts:
            self.assertEqual(self.message(receipt).state, "done")

    def test_of_an_exception_people_change_the_assignment_only(self):
        receipt = self.accept(self.body(1, test="NEW"))
        self.drain()
        operator = new_test_user(
            self.env, "health_operator", groups="health_base.group_operator"
        )
        exception = self.message(receipt).exception_id.with_user(operator)
        exception.action_assign_to_me()
        self.assertEqual(exception.owner_id, operator)
        with self.assertRaises(UserError):
            exception.write({"state": "closed"})

    def test_keyed_hashes_are_nobodys_to_read(self):
        message = self.message(self.accept(self.body()))
        admin = new_test_user(
            self.env, "health_admin", groups="health_base.group_administrator"
        )
        for name in ("dedupe_key", "order_key", "content_hash"):
            with self.assertRaises(AccessError):
                message.with_user(admin).read([name])
