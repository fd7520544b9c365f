"""The HTTP door as Odoo serves it, from the outside."""

import os
from unittest.mock import patch

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from . import door_cases
from .common import ConnectorMixin

KEY = "hk_a-long-and-random-key-for-tests"


@tagged("post_install", "-at_install")
class TestInbound(ConnectorMixin, HttpCase):
    """Also the door of ``door_cases``."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_connector()
        cls.secret = cls.env["health.secret"].create(
            {"name": "Key", "backend_id": cls.backend.id}
        )
        cls.secret._set_value(KEY)
        cls.env.flush_all()

    # -- door_cases.Door ------------------------------------------------------------

    def prepare(self, case):
        for record, values in (
            (self.interface, case.settings),
            (self.secret, case.secret),
            (self.backend, case.backend),
        ):
            self._set(record, values)

    def _set(self, record, values):
        """As they stand in the database, past what a screen would refuse."""
        record.flush_recordset()
        for name, value in values.items():
            self.env.cr.execute(
                f'UPDATE {record._table} SET "{name}" = %s WHERE id = %s',
                [value, record.id],
            )
        record.invalidate_recordset()

    def ask(self, ask):
        headers = {"Content-Type": "application/json", **ask.headers}
        if ask.key:
            headers["Authorization"] = f"Bearer {KEY if ask.key == 'right' else 'no'}"
        code = "demo-results" if ask.known else "no-such-interface"
        answer = self.url_open(
            f"/health/in/{code}", data=ask.raw, headers=headers, method=ask.method
        )
        return door_cases.Response(answer.status_code, answer.headers, answer.content)

    def stored(self):
        messages = self.env["health.message"].search(
            [("interface_id", "=", self.interface.id)], order="id"
        )
        opened = self.env["health.payload"]._open_raw(messages.ids)
        return [opened[message.id][0] for message in messages]

    # -- tests ----------------------------------------------------------------------

    def test_what_partners_may_count_on(self):
        for case in door_cases.CASES:
            with self.subTest(case=case.name), self.env.cr.savepoint() as savepoint:
                door_cases.run(case, self)
                savepoint.close(rollback=True)
            self.env.invalidate_all()

    def test_nothing_is_stored_in_the_clear(self):
        self.assertEqual(self.ask(door_cases.Ask()).status, 202)
        self.env.cr.execute("SELECT sealed FROM health_payload")
        self.assertNotIn(b"LAB-1", bytes(self.env.cr.fetchone()[0]))

    @mute_logger("odoo.http")
    def test_other_verbs_are_refused(self):
        answer = self.url_open("/health/in/demo-results")
        self.assertEqual(answer.status_code, 405)

    def test_without_a_key_ring_nothing_is_accepted_and_the_log_says_why(self):
        missing = {"HEALTH_KEYRING": "/nonexistent/keyring.json"}
        self.startPatcher(patch.dict(os.environ, missing))
        log = "odoo.addons.health_connector.controllers.inbound"
        with self.assertLogs(log, "ERROR") as logs:
            ask = door_cases.refused(503, "keyring.unavailable")
            door_cases._check(ask, self.ask(ask), [])
        self.assertIn("create the key ring", logs.output[0])
        self.assertFalse(self.env["health.message"].search_count([]))
