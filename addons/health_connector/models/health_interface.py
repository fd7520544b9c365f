"""One flow on a backend: a governed contract between a partner and the business."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import route
from ..lib.mapping import Context, Result, resolve
from ..lib.urgency import DEFAULT_VALUES
from .health_mapping import DATA_CLASSES

STATES = [
    ("draft", "Draft"),
    ("review", "In review"),
    ("approved", "Approved"),
    ("live", "Live"),
    ("suspended", "Suspended"),
    ("retired", "Retired"),
]

#: what the routing table of other interfaces repeats of a target
_ROUTED = {"priority", "order_key_source", "state", "active", "backend_id"}


class HealthInterface(models.Model):
    """A flow: how it arrives, what it means, who answers for it.

    Only a ``live`` interface accepts messages. Messages of an interface that stops
    being live stay stored and wait.
    """

    _name = "health.interface"
    _description = "Interface"
    _order = "code"

    code = fields.Char(
        required=True, help="Stable name in addresses: POST /health/in/<code>."
    )
    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    backend_id = fields.Many2one("health.backend", required=True, ondelete="restrict")
    company_id = fields.Many2one(related="backend_id.company_id", store=True)
    direction = fields.Selection(
        [("in", "Inbound"), ("out", "Outbound")], required=True, default="in"
    )
    state = fields.Selection(STATES, required=True, default="draft", copy=False)
    transport = fields.Selection(
        selection=lambda self: self._transport_names(), required=True, default="http"
    )
    codec = fields.Selection(selection=lambda self: self._codec_names(), required=True)
    mapping_id = fields.Many2one("health.mapping", ondelete="restrict")
    contract_id = fields.Many2one("health.contract", ondelete="restrict")
    handler = fields.Selection(
        selection=lambda self: self.env["health.plugin"]._names("handler")
    )
    # -- at the door
    message_types = fields.Char(
        help="Accepted message types, comma separated, for example ORU^R01,ORU^R30; "
        "ADT stands for all its events. Empty: all."
    )
    max_size = fields.Integer(
        default=1 << 20, required=True, help="Largest accepted message, in bytes."
    )
    charset = fields.Char(
        help="Overrides what the partner declares. Empty: as declared, else UTF-8."
    )
    order_key_source = fields.Char(
        help="Where the key stands whose messages must stay in order, in the codec's "
        "notation, alternatives separated by |, for example ORC-2-1|OBR-2-1."
    )
    dedupe_source = fields.Char(
        help="Where the partner's unique key of a message stands. Empty: the codec's "
        "own rule (HL7 v2: sender and control id; HTTP: Idempotency-Key), else the "
        "bytes themselves."
    )
    urgent_source = fields.Char(
        help="Where a message says how urgent it is, in the same notation, for example "
        "TQ1-9-1|ORC-7-6|OBR-5. Empty: none is urgent."
    )
    urgent_values = fields.Char(
        default=DEFAULT_VALUES,
        help="What an urgent message says there, comma separated. It goes before "
        "others, and takes along earlier ones of its order key.",
    )
    # -- governance
    owner_id = fields.Many2one("res.users", default=lambda self: self.env.user)
    purpose = fields.Char(
        string="Purpose of use", help="Why this data may flow, for the inventory."
    )
    criticality = fields.Selection(
        [("low", "Low"), ("normal", "Normal"), ("high", "High")],
        required=True,
        default="normal",
    )
    priority = fields.Integer(
        default=5, required=True, help="Lower numbers are applied first."
    )
    allowed_latency = fields.Integer(
        string="Target (minutes)", default=15, help="Accept to done."
    )
    mode = fields.Selection(
        [("real_time", "Real time"), ("batch", "Batch")],
        required=True,
        default="real_time",
    )
    data_classes = fields.Char(
        string="Allowed data classes",
        help="Comma separated field policy: map lines of other classes are left out "
        "before anything is stored. Empty: administrative and identifier only.",
    )
    # -- routing
    route_ids = fields.One2many("health.route", "entry_id", string="Routes")
    route_table = fields.Json(
        readonly=True,
        copy=False,
        help="The routes as doors read them with the interface's row; None without.",
    )
    error_policy_id = fields.Many2one(
        "health.error.policy",
        ondelete="restrict",
        check_company=True,
        default=lambda self: self.env["health.error.policy"]._shipped(),
        help="What follows from each class of error. Empty: the shipped policy.",
    )

    _code_unique = models.Constraint(
        "UNIQUE (code)", "Another interface has this code."
    )
    _max_size_positive = models.Constraint(
        "CHECK (max_size > 0)", "The largest accepted message must be above 0 bytes."
    )

    @api.model
    def _transport_names(self):
        """The plug-ins, HTTP among them; addons add their own."""
        return self.env["health.plugin"]._names("transport")

    @api.model
    def _codec_names(self):
        """The formats; records of our own are read by mappings only."""
        names = self.env["health.plugin"]._names("codec")
        return [each for each in names if each[0] != "record"]

    @api.constrains("code")
    def _check_code(self):
        for interface in self:
            if not interface.code.replace("-", "").replace("_", "").isalnum():
                raise ValidationError(
                    self.env._("Use letters, digits, - and _ in an interface code.")
                )

    @api.constrains("state", "handler", "direction", "mapping_id", "codec")
    def _check_complete(self):
        for interface in self:
            inbound = interface.direction == "in"
            mapping = interface.mapping_id
            if inbound and mapping and mapping.codec != interface.codec:
                raise ValidationError(
                    self.env._(
                        "The mapping is written for codec %(wanted)s, but interface "
                        "%(code)s uses %(used)s. Choose a mapping of the same codec.",
                        wanted=interface.mapping_id.codec,
                        code=interface.code,
                        used=interface.codec,
                    )
                )
            if interface.state == "live" and not interface.handler:
                raise ValidationError(
                    self.env._(
                        "Choose a handler before interface %s goes live.",
                        interface.code,
                    )
                )

    @api.constrains("order_key_source", "dedupe_source", "urgent_source", "codec")
    def _check_sources(self):
        names = ("order_key_source", "dedupe_source", "urgent_source")
        for interface in self:
            for source in filter(None, (interface[name] for name in names)):
                interface._check_key_source(source)

    def _check_key_source(self, source):
        """Refuse what the codec cannot read at the door as a key.

        :raises ValidationError: it is not an expression of the interface's codec
        """
        self.ensure_one()
        if self.direction == "out":
            return
        try:
            self.env["health.plugin"]._get("codec", self.codec)._compile(source)
        except Exception as exc:
            raise ValidationError(
                self.env._(
                    "%(written)s is not an expression of codec %(codec)s.",
                    written=source,
                    codec=self.codec,
                )
            ) from exc

    @api.constrains("data_classes")
    def _check_data_classes(self):
        known = {name for name, _label in DATA_CLASSES}
        for interface in self:
            strange = interface._allowed_classes() - known
            if strange:
                raise ValidationError(
                    self.env._(
                        "Unknown data classes: %(strange)s. Known: %(known)s.",
                        strange=", ".join(sorted(strange)),
                        known=", ".join(sorted(known)),
                    )
                )

    def write(self, vals):
        done = super().write(vals)
        if _ROUTED & set(vals):
            routes = self.env["health.route"].sudo()
            routes.search([("target_id", "in", self.ids)]).entry_id._refresh_routes()
        return done

    def _refresh_routes(self):
        """Write the table that doors read. A target takes part while it is live, or
        suspended: then its messages wait."""
        for interface in self.sudo():
            routes = interface.route_ids.filtered(lambda each: each._is_open())
            table = [route.dump(each._pure()) for each in routes]
            interface.route_table = table or None

    def _allowed_classes(self):
        """The field policy as a set of data classes."""
        text = self.data_classes or "administrative,identifier"
        return frozenset(part.strip() for part in text.split(",") if part.strip())

    def _policy(self):
        """What follows from each class of error, as ``lib.policy.Policy``."""
        shipped = self.env["health.error.policy"]._shipped
        return (self.error_policy_id or shipped())._pure()

    def _mapper(self):
        """A function that maps one tree by this interface's mapping and field policy.
        Get it once for a batch.

        It returns a ``lib.mapping.Result`` whose lookups are still to be resolved.
        Without a mapping a tree that is an object is the document itself; of any
        other there is no document, and only a handler that keeps can take it.
        """
        if not self.mapping_id:
            return lambda tree: Result(dict(tree) if isinstance(tree, dict) else {})
        program = self.mapping_id._program(self._allowed_classes())
        context = Context(timezone=self.backend_id.tz)
        return lambda tree: program.run(tree, context)

    def _translated(self, tree):
        """Map, translate codes and check the contract of one tree: what a preview
        shows and a test asserts. The drain does the same for whole batches."""
        result = self._mapper()(tree)
        wanted = [(each.code_map, each.value) for each in result.lookups]
        table = self.env["health.code.map"]._translate(self.company_id, wanted)
        resolve(result.lookups, table)
        if self.contract_id:
            self.contract_id._compiled().validate(result.document)
        return result.document

    def action_open_messages(self):
        """The messages of this interface."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_action"
        )
        return dict(action, domain=[("interface_id", "=", self.id)], context={})
