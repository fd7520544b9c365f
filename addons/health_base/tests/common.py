"""Fixtures: a key ring of the tests' own, two clinics, people."""

import base64
import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from odoo.tests import HttpCase, TransactionCase, new_test_user
from odoo.tools import file_path

from ..lib.keyfile import VARIABLE

# Debian's package of Odoo leaves out this asset of video calls: its bundle then writes
# an error to the console, and any such error fails a browser test.
LEFT_OUT = "mail/static/lib/selfie_segmentation/selfie_segmentation.js"


def write_ring(path, fill: bytes = b"i", mode: int = 0o600) -> str:
    """Write a key ring whose index key is ``fill`` repeated; return its path."""
    key = base64.b64encode(fill * 32).decode()
    ring = {"version": 1, "active": "k1", "keys": {"k1": key}, "index": key}
    Path(path).write_text(json.dumps(ring), encoding="ascii")
    os.chmod(path, mode)
    return str(path)


class KeyringCase(TransactionCase):
    """Runs with a key ring of its own, whatever the server is configured with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        ring = write_ring(cls.folder / "ring.json")
        cls.startClassPatcher(patch.dict(os.environ, {VARIABLE: ring}))


class HealthCase(KeyringCase):
    """North and South: two clinics of the main company; East: of another company."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.ref("base.main_company")
        cls.other_company = cls.env["res.company"].create({"name": "Other Group"})
        cls.north = cls.new_clinic("TST-N", cls.company)
        cls.south = cls.new_clinic("TST-S", cls.company)
        cls.east = cls.new_clinic("TST-E", cls.other_company)

    @classmethod
    def new_clinic(cls, code, company):
        return cls.env["health.clinic"].create(
            {"name": f"Clinic {code}", "code": code, "company_id": company.id}
        )

    @classmethod
    def new_patient(cls, name, clinic=None, number=None, **values):
        patient = cls.env["res.partner"].create(
            {
                "name": name,
                "is_patient": True,
                "clinic_id": clinic.id if clinic else False,
                **values,
            }
        )
        if number:
            cls.new_identifier(patient, number)
        return patient

    @classmethod
    def new_identifier(cls, partner, value, **values):
        return cls.env["health.identifier"].create(
            {"partner_id": partner.id, "system": "TESTLAB", "value": value, **values}
        )

    @classmethod
    def new_user(cls, login, groups="health_base.group_user", clinics=None, **values):
        user = new_test_user(cls.env, login=login, groups=groups, **values)
        if clinics:
            user.clinic_ids = clinics
        return user


class BrowserCase(HttpCase):
    """For tours: runs with every Odoo 19, also with Debian's package."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            file_path(LEFT_OUT)
        except FileNotFoundError:
            cls.env["ir.asset"].create(
                {
                    "name": "left out",
                    "bundle": "web.assets_backend",
                    "directive": "remove",
                    "path": LEFT_OUT,
                }
            )
