"""A laboratory with one live interface, two clinics, two patients, one order."""

import os
import tempfile
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.fields import Command
from odoo.tests import TransactionCase

from odoo.addons.health_connector.lib.accept import Channel, Incoming, accept
from odoo.addons.health_connector.lib.keyring import Keyring

from .oru import Obr, Oru, patient, stamp

CBC, BMP, TSH, FT4 = "58410-2", "51990-0", "3016-3", "3024-7"


class LabCase(TransactionCase):
    """Everything goes the real way: bytes, accept, drain, order."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        path = os.path.join(folder.name, "keyring.json")
        cls.ring = Keyring.create(path)
        cls.startClassPatcher(patch.dict(os.environ, {"HEALTH_KEYRING": path}))
        cls.company = cls.env["res.company"].create(
            {"name": "Lab Test Group", "lab_placer_authority": "HEALTHGROUP"}
        )
        cls.env = cls.env(
            context=dict(cls.env.context, allowed_company_ids=cls.company.ids)
        )
        cls.clinic = cls.new_clinic("LTN")
        cls.other_clinic = cls.new_clinic("LTS")
        cls.jane = cls.new_patient("ZZJANE ZZDOE", "MRN1")
        cls.john = cls.new_patient("ZZJOHN ZZDOE", "MRN2")
        cls.products = {
            code: cls.env["product.product"].create(
                {
                    "name": f"Test {code}",
                    "type": "service",
                    "lab_test_code": code,
                    "company_id": cls.company.id,
                }
            )
            for code in (CBC, BMP, TSH, FT4)
        }
        cls.yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        cls.backend = cls.new_backend("ltlab")
        cls.interface = cls.new_interface(cls.backend)

    # -- records -------------------------------------------------------------------

    @classmethod
    def new_clinic(cls, code):
        return cls.env["health.clinic"].create(
            {"name": f"Clinic {code}", "code": code, "company_id": cls.company.id}
        )

    @classmethod
    def new_patient(cls, name, number, system="HEALTHGROUP"):
        partner = cls.env["res.partner"].create(
            {"name": name, "is_patient": True, "clinic_id": cls.clinic.id}
        )
        cls.new_identifier(partner, number, system)
        return partner

    @classmethod
    def new_identifier(cls, partner, number, system="HEALTHGROUP"):
        return cls.env["health.identifier"].create(
            {
                "partner_id": partner.id,
                "system": system,
                "value": number,
                "company_id": cls.company.id,
            }
        )

    @classmethod
    def new_backend(cls, code):
        return cls.env["health.backend"].create(
            {
                "name": f"Lab {code}",
                "code": code,
                "kind": "laboratory",
                "tz": "America/New_York",
                "company_id": cls.company.id,
            }
        )

    @classmethod
    def new_interface(cls, backend, **values):
        ref = cls.env.ref
        return cls.env["health.interface"].create(
            {
                "name": "Results",
                "code": f"{backend.code}-oru",
                "backend_id": backend.id,
                "transport": "http",
                "codec": "hl7v2",
                "mapping_id": ref("health_connector_lab.mapping_lab_result_oru").id,
                "contract_id": ref("health_connector_lab.contract_lab_result_1_0").id,
                "handler": "lab.result",
                "order_key_source": "ORC-2-1|OBR-2-1|OBR-3-1|ORC-3-1",
                "data_classes": "administrative,identifier,clinical",
                "state": "live",
                **values,
            }
        )

    @classmethod
    def new_order(cls, number, *codes, partner=None, **values):
        return cls.env["health.lab.order"].create(
            {
                "placer_number": number,
                "partner_id": (partner or cls.jane).id,
                "clinic_id": cls.clinic.id,
                "company_id": cls.company.id,
                "state": "ordered",
                "line_ids": [
                    Command.create({"product_id": cls.products[code].id})
                    for code in codes or (CBC,)
                ],
                **values,
            }
        )

    # -- messages ------------------------------------------------------------------

    def accept(self, message, interface=None):
        """Accept a message (or its bytes) as the door does; returns the record."""
        interface = interface or self.interface
        raw = message if isinstance(message, bytes) else message.render()
        names = [
            "order_key_source",
            "dedupe_source",
            "urgent_source",
            "charset",
            "message_types",
        ]
        settings = {name: interface[name] or "" for name in names}
        settings |= {"max_size": interface.max_size, "environment": "test"}
        peeked = self.env["health.codec.hl7v2"]._peek(settings, raw, {})
        backend = interface.backend_id
        channel = Channel(interface.id, backend.id, backend.company_id.id)
        unit = Incoming(channel, raw, **peeked)
        receipt = accept(self.env.cr, self.ring, [unit])[0]
        return self.env["health.message"].browse(receipt.message_id)

    def drain(self, backend=None):
        with self.enter_registry_test_mode():
            self.env["health.drain"]._drain(backend or self.backend, promise=False)
        self.env.invalidate_all()

    def report(self, *tests, interface=None, **values):
        """Send one message about Jane's order T-1 and process it.

        :return: the message, processed
        """
        self.sent = getattr(self, "sent", 0) + 1
        values = {
            "control_id": f"C{self.sent}",
            "placer": "T-1",
            "identifiers": patient("MRN1"),
            **values,
        }
        message = self.accept(Oru(tests=tests or (Obr(),), **values), interface)
        self.drain(message.backend_id)
        return message

    def at(self, minutes):
        """A time of the laboratory, so many minutes after yesterday's beginning."""
        return stamp(minutes, self.yesterday)

    def assert_ignored(self, message, reason):
        self.assertEqual((message.state, message.reason), ("ignored", reason))

    def assert_parked(self, message, code):
        """The message waits for a person; returns the exception."""
        self.assertEqual((message.state, message.error_code), ("parked", code))
        return message.exception_id
