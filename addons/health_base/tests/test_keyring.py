import os
from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import config

from ..exceptions import HealthUserError
from ..lib.keyfile import VARIABLE
from .common import HealthCase, write_ring


@tagged("post_install", "-at_install")
class TestKeyring(HealthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patient = cls.new_patient("Ada Proxyman", cls.north, "TMR 1")

    def ring_at(self, path):
        return patch.dict(os.environ, {VARIABLE: str(path)})

    def configured_in(self, path):
        """The Odoo configuration file is ``path``; no variable is set."""
        environ = {k: v for k, v in os.environ.items() if k != VARIABLE}
        self.startPatcher(patch.dict(os.environ, environ, clear=True))
        self.startPatcher(patch.dict(config._runtime_options, {"config": str(path)}))

    def find(self):
        return self.env["res.partner"]._health_find_by_identifier(
            self.company, "TESTLAB", "MR", "TMR 1"
        )

    def assert_told(self, code, text):
        with self.assertRaises(HealthUserError) as caught:
            self.find()
        self.assertEqual(caught.exception.code, code)
        self.assertEqual(caught.exception.error_class, "bug")
        self.assertIn(text, str(caught.exception))

    def test_no_key_ring_configured(self):
        empty = self.folder / "empty.conf"
        empty.write_text("[options]\n")
        self.configured_in(empty)
        self.assert_told("keyring.unconfigured", "[health_connector]")

    def test_no_key_ring_file(self):
        with self.ring_at(self.folder / "nowhere.json"):
            self.assert_told("keyring.unreadable", "put it back")

    def test_a_key_ring_others_may_read(self):
        with self.ring_at(write_ring(self.folder / "open.json", mode=0o640)):
            self.assert_told("keyring.mode", "0600")

    def test_a_damaged_key_ring(self):
        path = self.folder / "damaged.json"
        for text in ("", "{", "[]", "{}", '{"index": "c2hvcnQ="}', '{"index": 7}'):
            path.write_text(text)
            path.chmod(0o600)
            with self.subTest(text=text), self.ring_at(path):
                self.assert_told("keyring.damaged", "backup")

    def test_nothing_is_saved_without_a_ring(self):
        count = self.env["health.identifier"].search_count([])
        with self.ring_at("/nowhere"), self.assertRaises(HealthUserError):
            self.new_identifier(self.patient, "TMR 2")
        self.assertEqual(self.env["health.identifier"].search_count([]), count)

    def test_patients_are_read_without_a_ring(self):
        with self.ring_at("/nowhere"):
            self.assertEqual(self.patient.health_identifier, "TMR 1")

    def test_the_ring_of_the_configuration_file(self):
        ring = write_ring(self.folder / "conf-ring.json")
        conf = self.folder / "odoo.conf"
        conf.write_text(f"[options]\nx = %(y)\n[health_connector]\nkeyring = {ring}\n")
        self.configured_in(conf)
        self.assertEqual(self.find(), self.patient)

    def test_another_index_key_needs_a_rebuild(self):
        ring = write_ring(self.folder / "new.json", b"n")
        with self.ring_at(ring):
            self.assertFalse(self.find())
            total = self.env["health.identifier"]._rebuild_blind_index(batch=7)
            count = self.env["health.identifier"].with_context(active_test=False)
            self.assertEqual(total, count.search_count([]))
            self.assertEqual(self.find(), self.patient)
            # the same file with another key is noticed
            write_ring(ring, b"o")
            os.utime(ring, ns=(1, 1))
            self.assertFalse(self.find())

    def test_errors_show_no_key(self):
        with self.ring_at(self.folder / "ring.json"):
            index = self.env["health.blind"]._index()
        self.assertNotIn("iiii", repr(index))
