"""One external system instance."""

from odoo import api, fields, models

from odoo.addons.base.models.res_partner import _tz_get

ENVIRONMENTS = [
    ("dev", "Development"),
    ("test", "Test"),
    ("staging", "Staging"),
    ("production", "Production"),
]


class HealthBackend(models.Model):
    """An external system: who owns it and where it is.

    Whether its traffic flows is told in ``health_backend_pause.py`` and
    ``health_backend_flow.py``. Runtime figures live in ``health.backend.state`` (the
    drain's promise) and ``health.backend.gate`` (breaker and limits), so that this row
    is not written by traffic.
    """

    _name = "health.backend"
    _description = "Backend"
    _order = "name"

    name = fields.Char(required=True)
    code = fields.Char(
        required=True, help="Short stable name, used in file names and metrics."
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    kind = fields.Selection(
        [
            ("laboratory", "Laboratory"),
            ("payments", "Payments"),
            ("bank", "Bank"),
            ("messaging", "Messaging"),
            ("scheduling", "Scheduling"),
            ("claims", "Claims"),
            ("supply", "Supplier"),
            ("crm", "CRM"),
            ("file", "File exchange"),
            ("other", "Other"),
        ],
        required=True,
        default="other",
    )
    environment = fields.Selection(ENVIRONMENTS, required=True, default="test")
    residency = fields.Char(
        help="Region in which this system keeps data, for example EU or US."
    )
    owner_id = fields.Many2one("res.users", default=lambda self: self.env.user)
    tz = fields.Selection(
        selection=_tz_get,
        string="Time zone",
        required=True,
        default="UTC",
        help="Zone of the times this system sends without an offset.",
    )
    host = fields.Char(help="Name or address that messages are sent to.")
    port = fields.Integer()
    connect_timeout = fields.Float(default=5.0, help="Seconds.")
    read_timeout = fields.Float(default=30.0, help="Seconds to wait for an answer.")
    rate_in = fields.Float(
        string="Inbound limit",
        help="Messages per second that are let in, at all doors together. Beyond it a "
        "sender is told to come again later (HTTP 429, AE 207). 0: no limit.",
    )
    rate_in_burst = fields.Integer(
        string="Inbound burst",
        help="Messages that may come at once after a quiet time. 0: those of a second.",
    )
    max_drains = fields.Integer(
        string="Workers",
        default=2,
        required=True,
        help="How many workers may apply messages of this backend at the same time.",
    )
    interface_ids = fields.One2many("health.interface", "backend_id")
    secret_ids = fields.One2many("health.secret", "backend_id")

    _code_unique = models.Constraint(
        "UNIQUE (company_id, code)", "Another backend of the company has this code."
    )
    _max_drains_positive = models.Constraint(
        "CHECK (max_drains BETWEEN 1 AND 64)",
        "A backend needs 1 to 64 workers.",
    )
    _timeouts_positive = models.Constraint(
        "CHECK (connect_timeout > 0 AND read_timeout > 0)",
        "Timeouts must be longer than zero seconds.",
    )
    _rate_in_positive = models.Constraint(
        "CHECK (COALESCE(rate_in, 0) >= 0 AND COALESCE(rate_in_burst, 0) >= 0)",
        "A limit is a number of messages per second; 0 means none.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        backends = super().create(vals_list)
        backends._ensure_state()
        return backends

    def _ensure_state(self):
        """Give every backend its runtime rows; safe to repeat."""
        for backend in self:
            self.env.cr.execute(
                """INSERT INTO health_backend_state (backend_id)
                   VALUES (%s) ON CONFLICT (backend_id) DO NOTHING;
                   INSERT INTO health_backend_gate (backend_id, breaker)
                   VALUES (%s, 'closed') ON CONFLICT (backend_id) DO NOTHING""",
                [backend.id, backend.id],
            )

    def _drop_token(self):
        """Forget what the partner has just refused, so that the next call asks for a
        new one. For transports with tokens to extend; no call is made here, it runs in
        a transaction.

        :return: whether there was anything to forget; without, a retry is pointless
        """
        self.ensure_one()
        return False

    def _interfaces_to_drain(self):
        """Inbound interfaces whose messages may be applied, and all others."""
        interfaces = self.env["health.interface"].with_context(active_test=False)
        every = interfaces.search([("backend_id", "=", self.id)])
        live = every.filtered(
            lambda each: each.active and each.state == "live" and each.direction == "in"
        )
        return live, every - live

    def action_open_messages(self):
        """The messages of this backend."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_action"
        )
        return dict(action, domain=[("backend_id", "=", self.id)], context={})
