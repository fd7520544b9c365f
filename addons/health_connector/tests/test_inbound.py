"""The HTTP door, from the outside."""

import json
import os
from unittest.mock import patch

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import ConnectorMixin

KEY = "hk_a-long-and-random-key-for-tests"


@tagged("post_install", "-at_install")
class TestInbound(ConnectorMixin, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_connector()
        cls.secret = cls.env["health.secret"].create(
            {"name": "Key", "backend_id": cls.backend.id}
        )
        cls.secret._set_value(KEY)
        cls.env.flush_all()

    def post(self, data, code="demo-results", key=KEY, **headers):
        if not isinstance(data, (bytes, str)):
            data = json.dumps(data)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Content-Type", "application/json")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return self.url_open(
            f"/health/in/{code}", data=data, headers=headers, method="POST"
        )

    def assert_problem(self, answer, status, code):
        self.assertEqual(answer.status_code, status, answer.text)
        body = answer.json()
        self.assertEqual(body["code"], code)
        for key in ("title", "detail", "next"):
            self.assertTrue(body[key])

    def count(self):
        return self.env["health.message"].search_count(
            [("interface_id", "=", self.interface.id)]
        )

    def test_accepted_and_sealed(self):
        answer = self.post(self.body())
        self.assertEqual(answer.status_code, 202, answer.text)
        message = self.env["health.message"].browse(answer.json()["id"])
        self.assertEqual(message.uid, answer.json()["uid"])
        raw, _charset = self.env["health.payload"]._open_raw([message.id])[message.id]
        self.assertEqual(json.loads(raw), self.body())
        self.env.cr.execute("SELECT sealed FROM health_payload")
        self.assertNotIn(b"LAB-1", bytes(self.env.cr.fetchone()[0]))

    def test_a_duplicate_gets_the_first_answer(self):
        first, second = self.post(self.body()), self.post(self.body())
        self.assertEqual(first.content, second.content)
        self.assertEqual((second.status_code, self.count()), (202, 1))

    def test_an_idempotency_key_counts_where_the_body_has_none(self):
        self.interface.dedupe_source = False
        self.env.flush_all()
        first = self.post(self.body(), Idempotency_Key="k1")
        again = self.post(self.body(), Idempotency_Key="k1")
        other = self.post(self.body(), Idempotency_Key="k2")
        self.assertEqual(first.json(), again.json())
        self.assertNotEqual(first.json()["id"], other.json()["id"])

    def test_other_bytes_under_the_same_key_are_a_conflict(self):
        self.post(self.body())
        answer = self.post(self.body(note="changed"))
        self.assert_problem(answer, 409, "message.key_reused")
        self.assertEqual(self.count(), 2)

    def test_strangers_learn_nothing(self):
        unknown = self.post(self.body(), code="no-such-interface")
        for answer in (
            unknown,
            self.post(self.body(), key="hk_wrong"),
            self.post(self.body(), key=None),
        ):
            self.assert_problem(answer, 401, "auth.bearer")
            self.assertEqual(answer.content, unknown.content)
        self.assertEqual(self.count(), 0)

    def test_a_revoked_or_expired_key_is_refused(self):
        self.secret.expires_at = "2000-01-01"
        self.env.flush_all()
        self.assert_problem(self.post(self.body()), 401, "auth.bearer")
        self.secret.expires_at = False
        self.secret.action_revoke()
        self.env.flush_all()
        self.assert_problem(self.post(self.body()), 401, "auth.bearer")

    def test_only_live_interfaces_accept(self):
        for state in ("draft", "review", "approved", "suspended", "retired"):
            self.interface.state = state
            self.env.flush_all()
            self.assert_problem(self.post(self.body()), 503, "interface.not_live")

    def test_size_is_checked_before_reading(self):
        self.interface.max_size = 40
        self.env.flush_all()
        answer = self.post(self.body(note="x" * 200))
        self.assert_problem(answer, 413, "body.too_large")
        self.assertEqual(answer.json()["limit"], 40)

    def test_bad_bodies_are_told_what_to_do(self):
        self.assert_problem(self.post(b"{not json"), 400, "json.syntax")
        self.assert_problem(self.post(b"\xff\xfe"), 400, "json.syntax")
        self.assert_problem(self.post(b""), 400, "body.empty")
        self.assertEqual(self.count(), 0)

    def test_message_types_are_checked(self):
        self.interface.message_types = "ORU^R01"
        self.env.flush_all()
        self.assert_problem(self.post(self.body()), 422, "message.type")

    def test_form_posts_keep_their_raw_body(self):
        raw = b'{"id": "m1", "order_no": "LAB-1", "test": "CBC"}'
        answer = self.post(raw, Content_Type="application/x-www-form-urlencoded")
        self.assertEqual(answer.status_code, 202, answer.text)
        message = self.env["health.message"].browse(answer.json()["id"])
        opened = self.env["health.payload"]._open_raw([message.id])
        self.assertEqual(opened[message.id][0], raw)

    @mute_logger("odoo.http")
    def test_other_verbs_are_refused(self):
        answer = self.url_open("/health/in/demo-results")
        self.assertEqual(answer.status_code, 405)

    def test_without_a_key_ring_nothing_is_accepted_and_the_log_says_why(self):
        missing = {"HEALTH_KEYRING": "/nonexistent/keyring.json"}
        self.startPatcher(patch.dict(os.environ, missing))
        log = "odoo.addons.health_connector.controllers.inbound"
        with self.assertLogs(log, "ERROR") as logs:
            self.assert_problem(self.post(self.body()), 503, "keyring.unavailable")
        self.assertIn("create the key ring", logs.output[0])
        self.assertEqual(self.count(), 0)
