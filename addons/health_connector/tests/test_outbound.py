"""From a record to the partner: once, in order, and never blindly again."""

import json
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo.exceptions import UserError
from odoo.tests import TransactionCase, new_test_user, tagged

from ..models.health_gate import Permit
from .common_out import Killed, OutboundMixin

DELIVERY_LOG = "odoo.addons.health_connector.models.health_delivery"


class OutboundCase(OutboundMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_outbound()


@tagged("post_install", "-at_install")
class TestOutbound(OutboundCase):
    def test_a_record_is_sent_with_the_fields_of_its_policy(self):
        message = self.emit(event="create")
        self.assertEqual((message.state, message.direction), ("pending", "out"))
        self.drain_out()
        self.assertEqual(message.state, "done")
        received = self.stub.received[0]
        # phone is of a class that this interface may not carry
        self.assertEqual(json.loads(received["body"]), {"number": "N-1", "name": "Ada"})
        self.assertEqual(received["key"], message.uid)
        self.assertEqual(received["headers"]["path"], "/orders")
        self.assertEqual(
            received["headers"]["content-type"], "application/json; charset=utf-8"
        )
        self.assertEqual(self.opened(message, "sent"), received["body"])
        self.assertIn(b"P-", self.opened(message, "answer"))
        self.assertEqual(message.attempt_ids.outcome, "done")

    def test_the_partners_id_is_bound_to_the_record(self):
        message = self.emit()
        self.drain_out()
        external = f"P-{message.uid[:8]}"
        found = self.env["health.binding"]._find(
            self.backend, "res.partner", [external]
        )
        self.assertEqual(found[external][0], self.record.id)

    def test_the_record_is_read_when_it_is_sent(self):
        self.emit()
        self.record.name = "Ada Lovelace"
        self.drain_out()
        self.assertIn(b"Ada Lovelace", self.stub.received[0]["body"])

    def test_a_given_document_is_sealed_at_once(self):
        message = self.emit(document={"name": "as it was"})
        self.assertIn(b"as it was", self.opened(message, "canonical"))
        self.record.unlink()
        self.drain_out()
        self.assertIn(b"as it was", self.stub.received[0]["body"])

    def test_of_a_record_that_is_gone_nothing_is_sent(self):
        message = self.emit()
        self.record.unlink()
        self.drain_out()
        self.assertEqual((message.state, message.reason), ("ignored", "record_deleted"))
        self.assertFalse(self.stub.received)

    def test_one_dedupe_key_is_one_message(self):
        first = self.emit(dedupe_key="booked")
        self.assertEqual(self.emit(dedupe_key="booked"), first)
        self.assertNotEqual(self.emit(dedupe_key="cancelled"), first)

    def test_a_rollback_leaves_nothing(self):
        count = self.env["health.message"].search_count([])
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.emit()
            raise ZeroDivisionError
        self.assertEqual(self.env["health.message"].search_count([]), count)

    def test_messages_of_a_record_leave_in_order(self):
        for number in range(3):
            self.emit(event=str(number))
        messages = self.env["health.message"].search(
            [("interface_id", "=", self.out.id)], order="id"
        )
        self.stub.faults.extend(["ok", "503"])
        self.drain_out()
        self.assertEqual(self.stub.keys(), messages[:2].mapped("uid"))
        self.assertEqual(messages.mapped("state"), ["done", "waiting", "pending"])
        self.due()
        self.drain_out()
        self.assertEqual(self.stub.keys(), [messages[i].uid for i in (0, 1, 1, 2)])

    def test_one_sick_key_does_not_stop_others(self):
        other = self.env["res.partner"].create({"name": "Bob", "ref": "N-2"})
        sick, behind, well = self.emit(), self.emit(), self.emit(other)
        self.stub.faults.extend(["422"])
        self.drain_out()
        self.assertEqual(sick.state, "parked")
        self.assertTrue(behind.is_behind)
        self.assertEqual(well.state, "done")
        sick.action_process_again()
        self.drain_out()
        self.assertEqual((sick.state, behind.state), ("done", "done"))
        self.assertEqual(self.stub.keys()[-2:], [sick.uid, behind.uid])

    def test_each_outcome_by_its_class(self):
        for fault, state, error_class in (
            ("400", "parked", "rejected"),
            ("401", "parked", "auth"),
            ("429", "waiting", "throttled"),
            ("503", "waiting", "transient"),
            ("500", "unknown", "transient"),
            ("reset", "unknown", "transient"),
        ):
            record = self.record.copy()
            message = self.emit(record)
            self.stub.faults.append(fault)
            self.drain_out()
            self.assertEqual((message.state, message.error_class), (state, error_class))
            self.put_off()

    def test_every_try_has_the_same_key_and_bytes(self):
        message = self.emit()
        for fault in ("429", "503", "ok"):
            self.stub.faults.append(fault)
            self.record.name = f"before {fault}"
            self.drain_out()
            self.due()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid] * 3)
        self.assertEqual(len({each["body"] for each in self.stub.received}), 1)

    def test_processed_again_it_is_built_anew(self):
        message = self.emit()
        self.stub.faults.append("422")
        self.drain_out()
        self.record.name = "corrected"
        message.action_process_again()
        self.drain_out()
        self.assertIn(b"corrected", self.stub.received[1]["body"])
        self.assertEqual(self.stub.keys(), [message.uid] * 2)

    def test_a_corrected_address_is_honoured_by_the_next_try(self):
        message = self.emit()
        self.backend.http_url = "http://127.0.0.1:1"
        self.drain_out()
        self.assertEqual(
            (message.state, message.error_code), ("waiting", "http.connection")
        )
        self.backend.http_url = self.stub.url
        self.out.path = "moved"
        self.due()
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.received[0]["headers"]["path"], "/moved")

    def test_a_paused_backend_sends_nothing(self):
        message = self.emit()
        self.backend.paused_out = True
        self.drain_out()
        self.assertEqual(message.state, "pending")
        self.backend.paused_out = False
        self.out.state = "suspended"
        self.drain_out()
        self.assertEqual(message.state, "pending")

    def test_a_closed_gate_costs_no_try(self):
        message = self.emit()
        until = self.env.cr.now().replace(microsecond=0, year=2099)
        gate = self.env.registry["health.gate"]
        with patch.object(
            gate, "_permit", lambda _self, _backend: Permit(False, until)
        ):
            self.drain_out()
        self.assertEqual((message.state, message.tries), ("waiting", 0))
        self.assertEqual(message.next_try_at, until)
        self.assertFalse(self.stub.received)

    def test_a_document_that_breaks_the_contract_is_not_sent(self):
        self.out.contract_id = self.interface.contract_id
        message = self.emit()
        self.drain_out()
        self.assertEqual(message.error_code, "contract.invalid")
        self.assertFalse(self.stub.received)

    def test_our_token_goes_along_and_is_nobodys_to_read(self):
        secret = self.env["health.secret"].create(
            {"name": "Token", "backend_id": self.backend.id, "kind": "bearer_out"}
        )
        secret.new_value = "partner-token-0123"
        self.emit()
        self.drain_out()
        sent = self.stub.received[0]["headers"]["authorization"]
        self.assertEqual(sent, "Bearer partner-token-0123")
        self.assertFalse(secret.new_value)
        self.assertNotIn("partner-token", str(secret.read()))
        secret.action_revoke()
        self.emit()
        self.drain_out()
        self.assertNotIn("authorization", self.stub.received[1]["headers"])


@tagged("post_install", "-at_install")
class TestDoubt(OutboundCase):
    """A call that may have arrived is never blindly repeated."""

    def doubtful(self, fault="reset"):
        message = self.emit()
        self.stub.faults.append(fault)
        self.drain_out()
        self.assertEqual(message.state, "unknown")
        self.due()
        return message

    def test_without_a_way_to_ask_a_person_decides(self):
        message, behind = self.doubtful(), self.emit()
        self.drain_out()
        self.assertEqual(message.state, "unknown")
        self.assertEqual(message.exception_id.code, "outbound.in_doubt")
        self.assertEqual(self.stub.keys(), [message.uid])
        self.due()
        self.drain_out()
        self.assertEqual(self.stub.keys(), [message.uid])
        self.assertTrue(behind.is_behind)

    def test_a_person_says_that_it_arrived(self):
        message, behind = self.doubtful(), self.emit()
        self.drain_out()
        exception = message.exception_id
        with self.assertRaises(UserError):
            message._settle(True, " ")
        message._settle(True, "seen on their screen")
        self.assertEqual(
            (message.state, message.reason), ("done", "seen on their screen")
        )
        self.assertEqual(exception.state, "closed")
        self.drain_out()
        self.assertEqual(self.stub.keys(), [message.uid, behind.uid])

    def test_a_person_has_it_sent_again_with_the_same_key_and_bytes(self):
        message = self.doubtful("lost")
        self.drain_out()
        self.record.name = "changed since"
        message._settle(False, "they have nothing")
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid] * 2)
        self.assertEqual(len({each["body"] for each in self.stub.received}), 1)

    def test_settling_needs_an_operator(self):
        message = self.doubtful()
        viewer = new_test_user(
            self.env, "doubt_viewer", groups="health_base.group_viewer"
        )
        with self.assertRaises(UserError):
            message.with_user(viewer)._settle(True, "I say so")
        self.assertEqual(message.state, "unknown")

    def test_an_operator_may_settle(self):
        message = self.doubtful()
        self.drain_out()
        operator = new_test_user(
            self.env, "doubt_operator", groups="health_base.group_operator"
        )
        self.env["health.message.settle"].with_user(operator).with_context(
            active_model="health.message", active_ids=message.ids
        ).create({"reason": "called them"}).action_arrived()
        self.assertEqual(message.state, "done")
        self.assertEqual(message.attempt_ids[0].outcome, "arrived")

    def test_a_look_up_that_finds_it_ends_the_doubt(self):
        self.out.probe_path = "known/{key}"
        message = self.doubtful("reset")
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid])

    def test_a_look_up_that_does_not_find_it_sends_it(self):
        self.out.probe_path = "known/{key}"
        message = self.doubtful("lost")
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid] * 2)

    def test_a_handler_may_know(self):
        message = self.doubtful("reset")
        handler = self.env.registry["health.handler.record"]
        with patch.object(handler, "_probe", lambda *_args: "delivered"):
            self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid])

    def test_a_partner_that_honours_keys_is_sent_it_again(self):
        self.out.repeat_safe = True
        message = self.doubtful("reset")
        self.stub.faults.append("409")
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(self.stub.keys(), [message.uid] * 2)
        self.assertEqual(self.stub.effects, [message.uid])

    def test_a_kill_in_the_call_leaves_a_doubt(self):
        message = self.emit()
        with self.kill_in_call():
            self.drain_out_killed()
        self.assertEqual(message.state, "processing")
        self.assertTrue(message.intent_at)
        self.drain_out()
        self.assertEqual(self.stub.keys(), [message.uid])
        self.env.cr.execute("UPDATE health_message SET lease_until = accepted_at")
        self.drain_out()
        self.assertEqual(message.state, "unknown")
        self.assertEqual(message.exception_id.code, "outbound.in_doubt")
        self.assertEqual(self.stub.keys(), [message.uid])

    def test_a_kill_before_the_intent_is_a_failed_try(self):
        message = self.emit()
        delivery = self.env.registry["health.delivery"]

        def killed(*_args):
            raise Killed

        with patch.object(delivery, "_commit_intent", killed):
            self.drain_out_killed()
        self.env.cr.execute("UPDATE health_message SET lease_until = accepted_at")
        self.drain_out()
        self.assertEqual(
            (message.state, message.error_code), ("waiting", "drain.lease_ended")
        )
        self.due()
        self.drain_out()
        self.assertEqual(message.state, "done")

    def test_the_intent_is_there_before_the_partner_has_it(self):
        message, seen = self.emit(), []
        transport = self.env.registry["health.transport.http"]
        send = transport._call

        def call(this, destination, outgoing):
            self.env.cr.execute(
                "SELECT intent_at FROM health_message WHERE id = %s", [message.id]
            )
            seen.append(self.env.cr.fetchone()[0])
            return send(this, destination, outgoing)

        with patch.object(transport, "_call", call):
            self.drain_out()
        self.assertTrue(seen[0])

    def test_what_is_known_is_not_lost_over_a_conflict_of_the_database(self):
        message, conflicts = self.emit(), [SerializationFailure()] * 2
        delivery = self.env.registry["health.delivery"]
        finish = delivery._finish

        def conflicting(this, work, sent):
            finish(this, work, sent)
            if conflicts:
                raise conflicts.pop()

        with patch.object(delivery, "_finish", conflicting):
            self.drain_out()
        self.assertEqual((message.state, message.tries), ("done", 1))
        self.assertEqual(len(message.attempt_ids), 1)
        self.assertEqual(self.stub.keys(), [message.uid])

    def test_a_late_answer_is_not_the_next_ones(self):
        late, other = self.emit(), self.emit(self.record.copy())
        self.stub.faults.extend(["slow", "422"])
        self.drain_out()
        self.assertEqual((late.state, other.state), ("unknown", "parked"))

    def test_a_transport_with_a_fault_leaves_a_doubt(self):
        message = self.emit()
        transport = self.env.registry["health.transport.http"]

        def call(*_args):
            raise RuntimeError

        with (
            patch.object(transport, "_call", call),
            self.assertLogs(DELIVERY_LOG, "ERROR"),
        ):
            self.drain_out()
        self.assertEqual(
            (message.state, message.error_code), ("unknown", "bug.RuntimeError")
        )
