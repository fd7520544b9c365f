"""An outbound HTTP interface that sends partners, and a partner who receives them."""

from unittest.mock import patch

from odoo.tests.common import _super_send

from .common import ConnectorMixin
from .partner_stub import PartnerStub

OUT_LINES = [
    {"target": "number", "source": "ref", "data_class": "identifier"},
    {"target": "name", "source": "name"},
    {"target": "phone", "source": "phone", "data_class": "contact"},
]


class OutboundMixin(ConnectorMixin):
    """Makes a mapping of ``res.partner`` and a live interface, and talks to a stub."""

    @classmethod
    def _request_handler(cls, session, request, /, **kw):
        """The test framework would stretch timeouts; here they are what is tested."""
        return _super_send(session, request, **kw)

    @classmethod
    def set_up_outbound(cls, **values):
        cls.set_up_connector()
        cls.stub = cls.enterClassContext(PartnerStub(delay=0.8))
        cls.backend.write(
            {"http_url": cls.stub.url, "connect_timeout": 1, "read_timeout": 0.3}
        )
        cls.partner_mapping = cls.env["health.mapping"].create(
            {
                "name": "demo.partner",
                "codec": "record",
                "model_id": cls.env["ir.model"]._get_id("res.partner"),
                "line_ids": [(0, 0, line) for line in OUT_LINES],
            }
        )
        # no next try comes by itself within a test, see ``due``
        cls.slow_policy = cls.env["health.error.policy"].create({"name": "Slow"})
        cls.slow_policy.line_ids.filtered("retried").delays = "600"
        cls.out = cls.env["health.interface"].create(
            {
                "name": "Demo orders",
                "code": "demo-orders",
                "backend_id": cls.backend.id,
                "direction": "out",
                "codec": "json",
                "mapping_id": cls.partner_mapping.id,
                "handler": "core.record",
                "state": "live",
                "path": "orders",
                "answer_id_source": "id",
                "error_policy_id": cls.slow_policy.id,
                **values,
            }
        )
        cls.record = cls.env["res.partner"].create(
            {"name": "Ada", "ref": "N-1", "phone": "5551"}
        )

    def setUp(self):
        super().setUp()
        self.stub.faults.clear()
        self.stub.received.clear()
        self.stub.effects.clear()

    def emit(self, record=None, **values):
        record = record if record is not None else self.record
        return self.env["health.message"]._emit(self.out, record=record, **values)

    def drain_out(self, budget=20.0):
        """Run the real loop of an outbound drain to its end."""
        with self.enter_registry_test_mode():
            self.env["health.drain"]._drain_out(
                self.backend, budget=budget, promise=False
            )
        self.env.invalidate_all()

    def drain_out_killed(self):
        """A drain that dies. (``assertRaises`` would undo what it has committed.)"""
        died = False
        with self.enter_registry_test_mode():
            try:
                self.env["health.drain"]._drain_out(self.backend, promise=False)
            except Killed:
                died = True
        self.assertTrue(died)
        self.env.invalidate_all()

    def due(self):
        """Let the time of all next tries come."""
        self.env.cr.execute(
            "UPDATE health_message SET next_try_at = now() AT TIME ZONE 'UTC'"
            " WHERE next_try_at < '9999-01-01'"
        )
        self.reset_gate()

    def put_off(self):
        """Let no next try come within this test."""
        self.env.cr.execute(
            "UPDATE health_message SET next_try_at = '9000-01-01'"
            " WHERE state IN ('waiting', 'unknown')"
        )
        self.reset_gate()

    def reset_gate(self):
        """As if the gate had never refused anything; test_gate.py is about it."""
        self.env.cr.execute(
            """UPDATE health_backend_gate
                  SET breaker = 'closed', failures = 0, until = NULL,
                      told_until = NULL"""
        )
        self.env.invalidate_all()

    def opened(self, message, stage):
        """The bytes of one stage of a message."""
        found = self.env["health.payload"]._open_raw(message.ids, stage)
        return found[message.id][0] if found else None

    def kill_in_call(self):
        """The worker dies while it waits for the answer: the message has been sent."""
        return patch(
            "odoo.addons.health_connector.lib.http_client._judge",
            side_effect=Killed(),
        )


class Killed(BaseException):
    """A SIGKILL as far as Python code can be made to feel it: nothing handles it."""
