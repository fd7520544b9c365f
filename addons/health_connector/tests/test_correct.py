"""Edit and replay: a right of its own, evidence, and no clear text at rest."""

import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .test_replay import _ROWS, ReplayCase

MARK = "ZZMARKERZZ"
RIGHTS = ("group_operator", "group_content_reader", "group_corrector")

_COLUMNS = """
SELECT c.table_name, c.column_name FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea')
"""


@tagged("post_install", "-at_install")
class TestCorrect(ReplayCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.corrector = cls.new_user("corrector", RIGHTS)

    @classmethod
    def new_user(cls, login, rights):
        groups = ",".join(f"health_base.{right}" for right in rights)
        return new_test_user(cls.env, f"correct-{login}", groups=groups)

    def setUp(self):
        super().setUp()
        self.original = self.receive(1, note=MARK)

    def wizard(self, message=None, user=None):
        wizards = self.env["health.message.correct"].with_user(user or self.corrector)
        return wizards.create(
            {"message_id": (message or self.original).id, "reason": "wrong order"}
        )

    def opened(self, **kwargs):
        wizard = self.wizard(**kwargs)
        wizard.action_open()
        return wizard

    def edit(self, wizard, **changes):
        body = {**json.loads(wizard.content), **changes}
        wizard.write({"content": json.dumps(body)})
        self.env.flush_all()
        self.env.invalidate_all()

    def preview(self, wizard):
        with self.enter_registry_test_mode():
            wizard.action_preview()
        self.env.invalidate_all()

    def corrected(self):
        return self.env["health.message"].search(
            [("replay_of_id", "=", self.original.id)]
        )

    def test_a_corrected_version_beside_the_untouched_original(self):
        self.env.cr.execute(_ROWS, [self.original.ids])
        before = self.env.cr.fetchall()
        wizard = self.opened()
        self.edit(wizard, order_no="RIGHT")
        self.preview(wizard)
        self.assertIn("nothing", wizard.preview)  # core.keep keeps only
        self.assertFalse(self.corrected())
        wizard.action_send()
        new = self.corrected()
        self.assertEqual((new.state, new.direction), ("pending", "in"))
        names = []
        with self.naming(names):
            self.drain()
        self.assertEqual((new.state, names), ("done", ["RIGHT"]))
        self.env.cr.execute(_ROWS, [self.original.ids])
        self.assertEqual(self.env.cr.fetchall(), before)
        keys = "SELECT count(DISTINCT order_key) FROM health_message WHERE id = ANY(%s)"
        self.env.cr.execute(keys, [(new | self.original).ids])
        self.assertEqual(self.env.cr.fetchone(), (2,))

    def test_who_opened_and_who_corrected_is_on_record_without_content(self):
        wizard = self.opened()
        self.edit(wizard, order_no="RIGHT")
        self.preview(wizard)
        wizard.action_send()
        notes = self.original.attempt_ids.filtered(lambda each: each.step == "edit")
        self.assertEqual(notes.mapped("outcome"), ["corrected", "opened"])
        for note in notes:
            self.assertEqual(note.params["user"], self.corrector.id)
            self.assertEqual(note.params["reason"], "wrong order")
            self.assertNotIn(MARK, json.dumps(note.params))
        self.assertEqual(notes[0].params["message"], self.corrected().id)
        self.assertEqual(notes[0].note, f"{self.corrector.name}: wrong order")

    def test_no_column_of_the_database_holds_the_text(self):
        wizard = self.opened()
        self.assertIn(MARK, wizard.content)
        self.edit(wizard, note=MARK + "NEW")
        self.assertIn(MARK + "NEW", wizard.content)
        self.preview(wizard)
        self.assert_nowhere()
        wizard.action_send()
        self.drain()
        self.assert_nowhere()
        opened = self.env["health.payload"]._open_raw(self.corrected().ids)
        self.assertIn(MARK + "NEW", opened[self.corrected().id][0].decode())

    def assert_nowhere(self):
        self.env.flush_all()
        self.env.cr.execute(_COLUMNS)
        for table, column in self.env.cr.fetchall():
            self.env.cr.execute(
                f'SELECT count(*) FROM "{table}" WHERE strpos("{column}"::text, %s) > 0'
                f' OR strpos("{column}"::text, %s) > 0',
                [MARK, MARK.encode().hex()],
            )
            self.assertEqual(self.env.cr.fetchone(), (0,), f"{table}.{column}")

    def test_only_with_all_three_rights(self):
        for missing in RIGHTS:
            rights = [right for right in RIGHTS if right != missing]
            user = self.new_user(missing.replace("_", "-"), rights)
            with self.assertRaises(AccessError, msg=missing):
                self.opened(user=user)
        admin = self.new_user("admin", ("group_administrator", "group_content_reader"))
        with self.assertRaises(AccessError):
            self.opened(user=admin)
        # a right that is taken away meanwhile shows nothing more
        wizard = self.opened()
        self.corrector.group_ids -= self.env.ref("health_base.group_content_reader")
        self.env.invalidate_all()
        for act in (
            lambda: wizard.content,
            wizard.action_preview,
            wizard.action_send,
            lambda: wizard.write({"content": "{}"}),
        ):
            with self.assertRaises(AccessError):
                act()

    def test_nothing_is_shown_before_it_was_opened_with_a_reason(self):
        wizard = self.wizard()
        self.assertFalse(wizard.content)
        wizard.write({"content": "x", "reason": " "})
        for act in (wizard.action_open, wizard.action_preview, wizard.action_send):
            with self.assertRaises(UserError):
                act()
        other = self.env["health.message.correct"].with_user(self.corrector)
        forged = other.create(
            {"message_id": self.original.id, "reason": "x", "stage": "edit"}
        )
        self.assertEqual((forged.stage, forged.content), ("ask", False))
        with self.assertRaises(UserError):
            forged.write({"stage": "edit"})
        self.assertFalse(
            self.original.attempt_ids.filtered(lambda each: each.step == "edit")
        )

    def test_sent_once_and_only_as_previewed(self):
        wizard = self.opened()
        with self.assertRaisesRegex(UserError, "Nothing has been corrected"):
            self.preview(wizard)
        self.edit(wizard, order_no="RIGHT")
        self.preview(wizard)
        self.edit(wizard, order_no="OTHER")
        with self.assertRaisesRegex(UserError, "Preview"):
            wizard.action_send()
        self.preview(wizard)
        wizard.action_send()
        with self.assertRaises(UserError):
            wizard.action_send()
        self.assertEqual(len(self.corrected()), 1)

    def test_what_cannot_be_read_does_not_go(self):
        wizard = self.opened()
        wizard.write({"content": "{" + MARK})
        with self.assertRaisesRegex(UserError, "cannot be read") as caught:
            self.preview(wizard)
        self.assertNotIn(MARK, str(caught.exception))

    def test_the_preview_tells_a_failure(self):
        wizard = self.opened()
        self.edit(wizard, test="NO-SUCH-TEST")
        self.preview(wizard)
        self.assertIn("It would fail", wizard.preview)

    def test_a_parked_original_gives_way(self):
        parked = self.message(self.accept(self.body(70, test="ZZ", order_no="P")))
        behind = self.message(self.accept(self.body(71, order_no="P")))
        self.drain()
        self.assertEqual((parked.state, behind.state), ("parked", "waiting"))
        wizard = self.opened(message=parked)
        self.edit(wizard, test="CBC")
        self.preview(wizard)
        wizard.action_send()
        self.drain()
        self.original = parked
        self.assertEqual(parked.state, "cancelled")
        self.assertIn(f"#{self.corrected().id}", parked.reason)
        self.assertEqual(self.corrected().state, "done")
        self.assertEqual(behind.state, "done")
        self.assertEqual(parked.exception_id.state, "closed")
