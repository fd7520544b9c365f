"""Reverting against others: committed data, real transactions side by side."""

from unittest.mock import patch

import psycopg2.errors

from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError
from odoo.modules.registry import Registry
from odoo.tests import BaseCase, tagged
from odoo.tests.common import get_db_name
from odoo.tools import mute_logger

from ..lib.errors import CONFLICT, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase, ConnectorMixin

_CLEAN = """
DELETE FROM health_attempt WHERE message_id IN
    (SELECT id FROM health_message WHERE backend_id = %(backend)s);
DELETE FROM health_message WHERE backend_id = %(backend)s;
"""


@tagged("post_install", "-at_install")
class TestRevertRefusals(ConnectorCase):
    def setUp(self):
        super().setUp()
        self.item = self.message(self.accept(self.body()))
        self.drain()

    def assert_refused(self, words):
        with self.assertRaisesRegex(UserError, words):
            self.env["health.revert"]._revert(self.item, "because")
        self.assertFalse(self.item.attempt_ids.filtered(lambda a: a.step == "revert"))

    def test_what_was_sent(self):
        self.env.cr.execute(
            "UPDATE health_message SET direction = 'out' WHERE id = %s", self.item.ids
        )
        self.item.invalidate_recordset()
        self.assert_refused("taken back")

    def test_every_state_but_done(self):
        for state in ("pending", "ignored", "parked", "cancelled", "reverted"):
            self.env.cr.execute(
                "UPDATE health_message SET state = %s WHERE id = %s",
                [state, self.item.id],
            )
            self.item.invalidate_recordset()
            self.assert_refused("no effect")

    def test_a_handler_that_cannot(self):
        handler = self.env.registry["health.handler.keep"]
        base = self.env.registry["health.handler"]
        with patch.object(handler, "_revert", base._revert):
            self.assert_refused("cannot be undone")

    def test_the_common_preview_counts_what_would_change(self):
        partner = self.env["res.partner"].create({"name": "Target", "ref": "X"})

        def revert(model, message):
            partner.with_env(model.env).ref = False

        handler = self.env.registry["health.handler.keep"]
        with self.enter_registry_test_mode(), patch.object(handler, "_revert", revert):
            lines, refusal = self.env["health.revert"]._preview(self.item)
        self.assertEqual((lines, refusal), (["Contact: 1 change(s)"], ""))
        partner.invalidate_recordset()
        self.assertEqual(partner.ref, "X")
        with self.enter_registry_test_mode():
            lines, refusal = self.env["health.revert"]._preview(self.item)
        self.assertEqual(len(lines), 1)
        self.assertIn("Nothing", lines[0])


@tagged("post_install", "-at_install")
class TestRevertRaces(ConnectorMixin, BaseCase):
    """The partner's reference follows the last message; a revert takes its own back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry(get_db_name())
        cls.cr = cls.registry.cursor()
        cls.addClassCleanup(cls.cr.close)
        cls.env = api.Environment(cls.cr, SUPERUSER_ID, {})
        cls.set_up_connector()
        cls.partner = cls.env["res.partner"].create({"name": "Revert race"})
        cls.addClassCleanup(cls._clean)
        cls.cr.commit()
        handler = cls.registry["health.handler.keep"]
        cls.startClassPatcher(patch.object(handler, "_apply", cls._write))
        cls.startClassPatcher(patch.object(handler, "_revert", cls._take_back))

    @classmethod
    def _clean(cls):
        cls.cr.rollback()
        cls.cr.execute(_CLEAN, {"backend": cls.backend.id})
        mapping, contract = cls.interface.mapping_id, cls.interface.contract_id
        for record in (
            cls.interface,
            cls.backend,
            mapping,
            contract,
            cls.code_map,
            cls.partner,
        ):
            record.unlink()
        cls.cr.commit()

    @staticmethod
    def _write(model, document, exchange):
        partner = model.env["res.partner"].browse(TestRevertRaces.partner.id)
        partner.ref = str(exchange.message_id)
        return Outcome(record=partner)

    @staticmethod
    def _take_back(model, message):
        partner = model.env["res.partner"].browse(TestRevertRaces.partner.id)
        if partner.ref != str(message.id):
            raise HealthError("demo.superseded", CONFLICT)
        partner.ref = False

    def apply_next(self):
        """Accept and apply one more message of the same order key, committed."""
        TestRevertRaces.number = getattr(TestRevertRaces, "number", 0) + 1
        message = self.message(self.accept(self.body(self.number)))
        self.env.cr.commit()  # pylint: disable=invalid-commit
        self.env["health.drain"]._drain(self.backend, promise=False)
        self.env.cr.rollback()
        self.env.invalidate_all()
        self.assertEqual(message.state, "done")
        return message

    def other(self):
        """An environment on a transaction that sees the database as it is now."""
        cr = self.registry.cursor()
        self.addCleanup(cr.close)
        cr.execute("SELECT count(*) FROM health_message")
        return api.Environment(cr, SUPERUSER_ID, {})

    def revert(self, env, message):
        env["health.revert"]._revert(message.with_env(env), "race")
        env.cr.commit()

    def assert_conflict(self, env, message):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.SerializationFailure),
        ):
            self.revert(env, message)
        env.cr.rollback()
        env.invalidate_all()

    def state(self, message):
        self.env.cr.rollback()
        self.env.invalidate_all()
        return message.state, self.partner.ref

    def test_a_newer_message_applied_meanwhile_wins(self):
        first = self.apply_next()
        env = self.other()
        second = self.apply_next()
        self.assert_conflict(env, first)
        # Odoo runs the request again, and now the newer one is seen
        with self.assertRaises(UserError):
            self.revert(env, first)
        self.assertEqual(self.state(first), ("done", str(second.id)))

    def test_two_at_once_undo_once(self):
        message = self.apply_next()
        one, two = self.other(), self.other()
        self.revert(one, message)
        self.assert_conflict(two, message)
        with self.assertRaises(UserError):
            self.revert(two, message)
        self.assertEqual(self.state(message), ("reverted", False))
        notes = message.attempt_ids.filtered(lambda a: a.step == "revert")
        self.assertEqual(len(notes), 1)
