"""A small JSON interface and shortcuts shared by the core's tests."""

import contextlib
import json
import os
import tempfile
from unittest.mock import patch

from odoo.tests import TransactionCase

from ..lib.accept import Channel, Incoming, accept
from ..lib.keyring import Keyring
from ..lib.urgency import words
from ..models.health_handler import Outcome

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["order", "code"],
    "additionalProperties": False,
    "properties": {
        "order": {"type": "string", "minLength": 1},
        "code": {"type": "string"},
        "note": {"type": "string"},
    },
}
LINES = [
    {"target": "order", "source": "order_no", "data_class": "identifier"},
    {"target": "code", "source": "test", "code_map": "demo.tests"},
    {"target": "note", "source": "note", "data_class": "clinical"},
]


class ConnectorMixin:
    """Makes a backend with one live JSON interface and a code map."""

    @classmethod
    def set_up_connector(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        path = os.path.join(folder.name, "keyring.json")
        cls.ring = Keyring.create(path)
        cls.startClassPatcher(patch.dict(os.environ, {"HEALTH_KEYRING": path}))
        cls.backend = cls.env["health.backend"].create(
            {"name": "Demo lab", "code": "demo-lab", "kind": "laboratory"}
        )
        cls.code_map = cls.env["health.code.map"].create(
            {
                "name": "demo.tests",
                "line_ids": [(0, 0, {"source": "CBC", "target": "58410-2"})],
            }
        )
        cls.interface = cls.env["health.interface"].create(
            {
                "name": "Demo results",
                "code": "demo-results",
                "backend_id": cls.backend.id,
                "codec": "json",
                "mapping_id": cls._make_mapping().id,
                "contract_id": cls._make_contract().id,
                "handler": "core.keep",
                "state": "live",
                "dedupe_source": "id",
                "order_key_source": "order_no",
            }
        )

    @classmethod
    def _make_mapping(cls):
        return cls.env["health.mapping"].create(
            {
                "name": "demo",
                "codec": "json",
                "line_ids": [(0, 0, line) for line in LINES],
            }
        )

    @classmethod
    def _make_contract(cls):
        return cls.env["health.contract"].create(
            {"name": "demo", "version": "1.0", "schema": json.dumps(SCHEMA)}
        )

    def accept(self, body, interface=None):
        """Accept a JSON body as the door does; returns the receipt."""
        interface = interface or self.interface
        raw = json.dumps(body).encode()
        peeked = self.env["health.codec.json"]._peek(interface, raw, {})
        company = self.backend.company_id
        urgent = words(interface.urgent_values)
        channel = Channel(interface.id, self.backend.id, company.id, 5, urgent)
        return accept(self.env.cr, self.ring, [Incoming(channel, raw, **peeked)])[0]

    def policy(self, error_class="transient", **figures):
        """A policy of the interface's own, one line of which differs."""
        policy = self.env["health.error.policy"].create({"name": "Of a test"})
        policy.line_ids.filtered(lambda line: line.error_class == error_class).write(
            figures
        )
        self.interface.error_policy_id = policy
        return policy

    def body(self, number=1, **changes):
        return {"id": f"m{number}", "order_no": "LAB-1", "test": "CBC", **changes}

    def drain(self):
        """Run the real loop of a drain to its end."""
        with self.enter_registry_test_mode():
            self.env["health.drain"]._drain(self.backend, promise=False)
        self.env.invalidate_all()

    def message(self, receipt):
        return self.env["health.message"].browse(receipt.message_id)

    @contextlib.contextmanager
    def handler(self, apply):
        """Let the interface's handler do what a test says."""
        handler = self.env.registry["health.handler.keep"]
        with patch.object(handler, "_apply", lambda _self, doc, ex: apply(doc, ex)):
            yield

    def naming(self, names):
        """A handler that notes the order in which documents arrive."""

        def apply(document, exchange):
            names.append(document["order"])
            return Outcome(record=self.backend.owner_id.partner_id)

        return self.handler(apply)


class ConnectorCase(ConnectorMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_connector()
