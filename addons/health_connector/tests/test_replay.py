"""Replay: previewed, frozen, handed over in batches, beside untouched originals."""

from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..lib import replay as rules
from ..lib.errors import MAPPING, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase

_ROWS = """
SELECT m.*::text, p.*::text FROM health_message m
  JOIN health_payload p ON p.message_id = m.id
 WHERE m.id = ANY(%s) ORDER BY m.id, p.stage
"""


class ReplayCase(ConnectorCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls.env["res.partner"].create({"name": "Target"})
        cls.operator = new_test_user(
            cls.env, "replay-operator", groups="health_base.group_operator"
        )

    def receive(self, count, **changes):
        """Accept and apply messages; they change nothing yet."""
        receipts = [
            self.accept(self.body(n, order_no=f"K{n}", **changes))
            for n in range(self.number, self.number + count)
        ]
        self.number += count
        self.drain()
        messages = self.env["health.message"].browse(r.message_id for r in receipts)
        self.assertEqual(set(messages.mapped("state")), {"done"})
        return messages

    number = 1

    def write_partner(self, document, exchange):
        """A business effect: ignored when it is there already, refused for K13."""
        if document["order"] == "K13":
            raise HealthError("demo.unknown", MAPPING)
        partner = self.partner.with_env(exchange.interface.env)
        if document["order"] in (partner.ref or ""):
            return Outcome(record=partner, ignored="demo.stale")
        partner.ref = f"{partner.ref or ''} {document['order']}."
        return Outcome(record=partner)

    def new_replay(self, messages=None, domain=None, **values):
        domain = [("id", "in", messages.ids)] if domain is None else domain
        return self.env["health.replay"].create(
            {"reason": "test", "domain": str(domain), **values}
        )

    def preview(self, replay):
        with self.enter_registry_test_mode():
            replay.action_preview()
        self.env.invalidate_all()

    def start(self, replay):
        self.preview(replay)
        replay.action_start()

    def batch(self, replay):
        """One batch, now; the pace is tested on its own."""
        self.env.cr.execute(
            "UPDATE health_replay SET next_batch_at = now() WHERE id = %s", [replay.id]
        )
        replay.invalidate_recordset()
        pause = self.env["health.replay.batch"]._run(replay)
        self.env.flush_all()
        return pause

    def run_to_end(self, replay):
        for _round in range(100):
            if replay.state != "running":
                return
            self.batch(replay)
            self.drain()
        self.fail("the replay does not end")

    def copies(self, replay):
        return self.env["health.message"].search(
            [("replay_id", "=", replay.id)], order="id"
        )


@tagged("post_install", "-at_install")
class TestReplay(ReplayCase):
    def test_originals_stay_byte_for_byte_and_copies_point_to_them(self):
        messages = self.receive(3)
        self.env.cr.execute(_ROWS, [messages.ids])
        before = self.env.cr.fetchall()
        replay = self.new_replay(messages)
        self.start(replay)
        self.run_to_end(replay)
        self.env.cr.execute(_ROWS, [messages.ids])
        self.assertEqual(self.env.cr.fetchall(), before)
        copies = self.copies(replay)
        self.assertEqual(copies.mapped("replay_of_id"), messages)
        self.assertEqual(set(copies.mapped("state")), {"done"})
        self.assertFalse(set(copies.mapped("uid")) & set(messages.mapped("uid")))
        opened = self.env["health.payload"]._open_raw(messages.ids + copies.ids)
        for copy in copies:
            self.assertEqual(opened[copy.id], opened[copy.replay_of_id.id])
        self.env.cr.execute(
            "SELECT count(DISTINCT sealed) FROM health_payload "
            "WHERE stage = 'raw' AND message_id = ANY(%s)",
            [messages.ids + copies.ids],
        )
        self.assertEqual(self.env.cr.fetchone(), (6,))
        self.assertEqual(replay.state, "done")
        self.assertEqual((replay.created, replay.done, replay.total), (3, 3, 3))

    def test_the_preview_tells_what_then_happens(self):
        messages = self.receive(16)
        self.partner.ref = "K2. K3. K5."
        replay = self.new_replay(messages)
        with self.handler(self.write_partner):
            self.preview(replay)
            told = (replay.preview_change, replay.preview_noop, replay.preview_fail)
            self.assertEqual(told, (12, 3, 1))
            self.assertEqual(self.partner.ref, "K2. K3. K5.")
            self.assertIn("12 would change", replay.preview_text)
            self.assertNotIn("SAMPLE", replay.preview_text)
            replay.action_start()
            self.run_to_end(replay)
        self.assertEqual((replay.done, replay.no_op, replay.failed), told)

    def test_a_large_preview_is_a_sample_and_says_so(self):
        messages = self.receive(9)
        replay = self.new_replay(messages)
        with patch.object(rules, "sample_step", lambda total: 3):
            self.preview(replay)
        self.assertEqual((replay.preview_size, replay.total), (3, 9))
        self.assertIn("A SAMPLE of 3", replay.preview_text)

    def test_a_batch_that_is_repeated_creates_nothing_twice(self):
        messages = self.receive(5)
        replay = self.new_replay(messages)
        self.start(replay)
        self.batch(replay)
        first = self.copies(replay)
        self.assertEqual(len(first), 5)
        # the copies are there, how far the replay has come is lost
        self.env.cr.execute("UPDATE health_replay SET position = 0")
        replay.invalidate_recordset()
        with patch.object(rules, "batch_size", lambda pace: 6):
            self.batch(replay)
        self.assertEqual(self.copies(replay), first)
        self.assertEqual(replay.position, 5)

    def test_a_batch_that_dies_leaves_no_half(self):
        messages = self.receive(4)
        replay = self.new_replay(messages)
        self.start(replay)
        store = type(self.env["health.replay.copy"])._store

        def die(*args, **kwargs):
            store(*args, **kwargs)
            raise RuntimeError("killed")

        with patch.object(type(self.env["health.replay.copy"]), "_store", die):
            with self.assertRaises(RuntimeError), self.env.cr.savepoint():
                self.batch(replay)
        replay.invalidate_recordset()
        self.assertEqual((len(self.copies(replay)), replay.position), (0, 0))
        self.run_to_end(replay)
        self.assertEqual(replay.created, 4)

    def test_order_per_key_holds_and_live_traffic_goes_first(self):
        for number in (1, 2, 3):
            self.accept(self.body(number, order_no="S"))
        self.drain()
        messages = self.env["health.message"].search(
            [("interface_id", "=", self.interface.id)], order="id"
        )
        replay = self.new_replay(messages)
        self.start(replay)
        self.batch(replay)
        copies = self.copies(replay)
        self.assertEqual(copies.mapped("replay_of_id"), messages)
        self.assertEqual(
            copies.mapped("replay_of_id.id"), sorted(copies.mapped("replay_of_id.id"))
        )
        keys = "SELECT DISTINCT order_key FROM health_message WHERE id = ANY(%s)"
        self.env.cr.execute(keys, [(messages | copies).ids])
        self.assertEqual(len(self.env.cr.fetchall()), 1)
        live = self.message(self.accept(self.body(9, order_no="T")))
        self.assertEqual(self.claim(1), live.ids)
        names = []
        with self.naming(names):
            self.drain()
        self.assertEqual(names, ["S", "S", "S"])

    def test_live_messages_behind_a_replay_do_not_keep_it_from_its_turn(self):
        """More of them than one claim takes, and all more urgent."""
        messages = self.receive(3)
        replay = self.new_replay(messages)
        self.start(replay)
        self.batch(replay)
        for number in (1, 2, 3):
            self.accept(self.body(100 + number, order_no=f"K{number}"))
        claimed = self.claim(2) + self.claim(2) + self.claim(2)
        self.assertTrue(set(claimed) & set(self.copies(replay).ids))

    def claim(self, limit):
        with self.enter_registry_test_mode():
            claimed = self.env["health.drain"]._claim(self.backend, "test", limit)
        self.env.invalidate_all()
        return claimed

    def test_a_replay_of_a_replay_is_one_of_the_original(self):
        messages = self.receive(1)
        for _round in (1, 2):
            replay = self.new_replay(messages[-1])
            self.start(replay)
            self.run_to_end(replay)
            messages |= self.copies(replay)
        self.assertEqual(len(messages), 3)
        self.assertEqual(messages[1:].replay_of_id, messages[0])

    def test_a_replay_has_the_time_of_its_original(self):
        messages = self.receive(1)
        self.env.cr.execute(
            "UPDATE health_message SET accepted_at = '2020-01-02' WHERE id = %s",
            [messages.id],
        )
        times = []

        def apply(document, exchange):
            times.append(str(exchange.accepted_at))
            return Outcome()

        replay = self.new_replay(messages)
        self.start(replay)
        with self.handler(apply):
            self.run_to_end(replay)
        self.assertEqual(times, ["2020-01-02 00:00:00"])

    def test_content_that_is_gone_is_counted(self):
        messages = self.receive(3)
        self.env.cr.execute(
            "DELETE FROM health_payload WHERE message_id = %s", [messages[1].id]
        )
        replay = self.new_replay(messages)
        self.start(replay)
        self.run_to_end(replay)
        self.assertEqual((replay.created, replay.skipped), (2, 1))
        self.assertEqual(replay.progress, 100)

    def test_open_messages_are_left_out(self):
        messages = self.receive(2)
        parked = self.message(self.accept(self.body(50, test="ZZ", order_no="Z")))
        self.drain()
        self.assertEqual(parked.state, "parked")
        replay = self.new_replay(messages | parked)
        self.preview(replay)
        self.assertEqual((replay.total, replay.left_out), (2, 1))
        self.assertIn("1 chosen message(s) are left out", replay.preview_text)

    def test_the_preview_knows_what_waits_for_a_person_already(self):
        messages = self.receive(2)
        parked = self.message(self.accept(self.body(60, test="ZZ", order_no="K1")))
        self.drain()
        self.assertEqual(parked.state, "parked")
        replay = self.new_replay(messages)
        self.start(replay)
        self.assertEqual((replay.preview_behind, replay.preview_noop), (1, 1))
        self.batch(replay)
        self.drain()
        states = self.copies(replay).mapped("state")
        self.assertEqual(states, ["waiting", "done"])
        self.batch(replay)
        self.assertEqual(replay.state, "done")

    def test_outbound_is_a_new_intent_and_the_preview_warns(self):
        (message,) = self.receive(1)
        self.env.cr.execute(
            """UPDATE health_message SET direction = 'out', event = 'created',
                      res_model = 'res.partner', res_id = %s WHERE id = %s""",
            [self.partner.id, message.id],
        )
        self.env.invalidate_all()
        replay = self.new_replay(message)
        self.start(replay)
        self.assertEqual(replay.outbound, 1)
        self.assertIn("THE PARTNER RECEIVES THEM AGAIN", replay.preview_text)
        self.batch(replay)
        copy = self.copies(replay)
        self.assertEqual(copy.direction, "out")
        self.assertEqual((copy.event, copy.res_id), ("created", self.partner.id))
        self.assertNotEqual(copy.uid, message.uid)
        self.assertEqual(copy.payload_ids.mapped("stage"), ["canonical"])

    def test_what_a_route_passed_on_is_passed_on_again(self):
        (message,) = self.receive(1)
        self.env.cr.execute(
            "UPDATE health_message SET direction = 'out' WHERE id = %s", message.ids
        )
        self.env.cr.execute(
            "DELETE FROM health_payload WHERE message_id = %s AND stage = 'canonical'",
            message.ids,
        )
        self.env.invalidate_all()
        replay = self.new_replay(message)
        self.start(replay)
        self.batch(replay)
        copy = self.copies(replay)
        self.assertEqual(copy.payload_ids.mapped("stage"), ["raw"])
        opened = self.env["health.payload"]._open_raw((copy | message).ids)
        self.assertEqual(opened[copy.id], opened[message.id])


@tagged("post_install", "-at_install")
class TestReplayControl(ReplayCase):
    def small_batches(self, size):
        return patch.object(rules, "batch_size", lambda per_minute: size)

    def test_pause_resume_and_cancel(self):
        messages = self.receive(6)
        replay = self.new_replay(messages)
        self.start(replay)
        with self.small_batches(2):
            self.batch(replay)
            self.drain()
            replay.action_pause()
            self.assertIsNone(self.batch(replay))
            self.assertEqual(len(self.copies(replay)), 2)
            replay.action_start()
            self.batch(replay)
            self.assertEqual(len(self.copies(replay)), 4)
            replay._cancel("wrong day")
            self.assertIsNone(self.batch(replay))
        self.assertEqual(replay.cancel_reason, "wrong day")
        copies = self.copies(replay)
        self.assertEqual(
            copies.mapped("state"), ["done", "done", "cancelled", "cancelled"]
        )
        self.assertEqual(set(copies[2:].mapped("reason")), {"wrong day"})
        with self.assertRaises(UserError):
            replay.action_start()

    def test_the_drain_is_not_flooded(self):
        messages = self.receive(6)
        replay = self.new_replay(messages)
        self.start(replay)
        with self.small_batches(2):
            for _round in (1, 2, 3):
                self.batch(replay)
            self.assertEqual(len(self.copies(replay)), 2)
            self.drain()
            self.batch(replay)
            self.assertEqual(len(self.copies(replay)), 4)

    def test_the_pace_holds_however_often_a_job_runs(self):
        messages = self.receive(4)
        replay = self.new_replay(messages, per_minute=2)
        self.start(replay)
        runner = self.env["health.replay.batch"]
        self.assertEqual(runner._run(replay), 60)
        self.drain()
        self.assertGreater(runner._run(replay), 50)
        self.assertEqual(len(self.copies(replay)), 2)

    def test_exactly_what_matched_at_the_confirmation(self):
        """3,000 match; what comes, or changes its state, afterwards does not matter."""
        self.env.cr.execute(
            """INSERT INTO health_message (uid, interface_id, backend_id, company_id,
                      direction, state, dedupe_key, external_ref, accepted_at,
                      state_at, next_try_at, tries, priority)
               SELECT md5(n::text), %s, %s, %s, 'in', 'done', 'old' || n, 'FROZEN',
                      now(), now(), now(), 1, 5 FROM generate_series(1, 3000) n
            RETURNING id""",
            [self.interface.id, self.backend.id, self.env.company.id],
        )
        ids = sorted(row[0] for row in self.env.cr.fetchall())
        key_id, sealed = self.ring.seal(b"{}", b"any")
        self.env.cr.execute(
            """INSERT INTO health_payload (message_id, stage, key_id, sealed, size)
               SELECT id, 'raw', %s, %s, 2 FROM health_message WHERE id = ANY(%s)""",
            [key_id, sealed, ids],
        )
        replay = self.new_replay(
            domain=[("external_ref", "=", "FROZEN"), ("state", "=", "done")]
        )
        payloads = type(self.env["health.payload"])
        really_open = payloads._open_raw

        def open_raw(model, wanted, stage="raw"):
            if set(wanted) <= set(ids):
                return dict.fromkeys(wanted, (b"{}", ""))
            return really_open(model, wanted, stage)

        with patch.object(payloads, "_open_raw", open_raw):
            self.preview(replay)
            self.assertEqual((replay.total, replay.preview_size), (3000, 200))
            self.env.cr.execute(
                """UPDATE health_message SET state = 'parked' WHERE id = %s""",
                [ids[7]],
            )
            late = self.receive(1)
            self.env.cr.execute(
                "UPDATE health_message SET external_ref = 'FROZEN' WHERE id = %s",
                late.ids,
            )
            self.env.invalidate_all()
            replay.action_start()
            self.assertEqual(replay.total, 2999)
            self.env.cr.execute(
                "UPDATE health_message SET state = 'reverted' WHERE id = %s", [ids[9]]
            )
            while replay.position < replay.total:
                self.batch(replay)
                self.env.cr.execute(
                    "UPDATE health_message SET state = 'done' WHERE replay_id = %s",
                    [replay.id],
                )
                self.env.invalidate_all()
        self.batch(replay)
        self.assertEqual(replay.state, "done")
        copied = self.copies(replay).mapped("replay_of_id").ids
        self.assertEqual(sorted(copied), sorted(set(ids) - {ids[7]}))

    def test_a_lost_job_is_made_up_for(self):
        replay = self.new_replay(self.receive(1))
        self.start(replay)
        jobs = self.env["queue.job"].search([("identity_key", "like", "health.replay")])
        self.assertEqual(len(jobs), 1)
        self.env.cr.execute("DELETE FROM queue_job WHERE id = %s", [jobs.id])
        with self.enter_registry_test_mode():
            self.env.ref("health_connector.cron_replay").method_direct_trigger()
        jobs = self.env["queue.job"].search([("identity_key", "like", "health.replay")])
        self.assertEqual(len(jobs), 1)

    def test_who_may(self):
        messages = self.receive(2)
        viewer = new_test_user(
            self.env, "replay-viewer", groups="health_base.group_viewer"
        )
        with self.assertRaises(AccessError):
            self.new_replay(messages).with_user(viewer).write({"reason": "x"})
        with self.assertRaises(UserError):
            self.new_replay(messages).with_user(viewer).action_preview()
        replays = self.env["health.replay"].with_user(self.operator)
        values = {"reason": "ok", "domain": str([("id", "in", messages.ids)])}
        for name, value in (("state", "running"), ("user_id", 1), ("total", 9)):
            with self.assertRaises(UserError):
                replays.create({**values, name: value})
        replay = replays.create(values)
        self.assertEqual(replay.user_id, self.operator)
        for name, value in (("state", "done"), ("domain", "[]"), ("bound_id", 9)):
            with self.assertRaises(UserError):
                replay.write({name: value})
        replay.write({"per_minute": 30})
        self.start(replay)
        self.run_to_end(replay)
        self.assertEqual(replay.created, 2)

    def test_a_search_is_read_with_the_rights_of_the_person(self):
        self.receive(1)
        replays = self.env["health.replay"].with_user(self.operator)
        hidden = replays.create({"reason": "x", "domain": "[('order_key', '=', 'a')]"})
        with self.assertRaises(AccessError):
            hidden.action_preview()
        for text in ("__import__('os').getcwd()", "[('nothing', '=', 1)]", "[(", "7"):
            with self.assertRaises(UserError):
                replays.create({"reason": "x", "domain": text})

    def test_nothing_starts_without_a_preview(self):
        replay = self.new_replay(self.receive(1))
        with self.assertRaises(UserError):
            replay.action_start()
