"""A further way of accepted messages: one message may feed several interfaces."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import route
from ..lib.accept import Channel

MODES = [
    ("live", "Live"),
    ("shadow", "Shadow"),
    ("off", "Off"),
]


class HealthRoute(models.Model):
    """From an entry interface to a target, when all conditions hold.

    Decided at the door for each message and frozen there (``lib/route.py``): what is
    changed here holds for messages accepted from then on. A route to the entry
    interface itself says how that one takes part, so that a new flow can shadow the
    old one clinic by clinic until it takes over.
    """

    _name = "health.route"
    _inherit = "health.route.part"
    _description = "Route"
    _order = "entry_id, sequence, id"
    _check_company_auto = True

    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    entry_id = fields.Many2one(
        "health.interface",
        string="Accepted by",
        required=True,
        ondelete="cascade",
        check_company=True,
        domain="[('direction', '=', 'in')]",
        help="The interface whose door decides.",
    )
    target_id = fields.Many2one(
        "health.interface",
        string="Feeds",
        required=True,
        ondelete="cascade",
        check_company=True,
        help="The interface that gets the message too. The accepting one itself: how "
        "it takes part.",
    )
    company_id = fields.Many2one(related="entry_id.company_id", store=True)
    mode = fields.Selection(
        MODES,
        required=True,
        default="live",
        help="Shadow: applied, rolled back and compared. For every clinic that has no "
        "mode of its own below.",
    )
    condition_ids = fields.One2many("health.route.condition", "route_id", copy=True)
    clinic_source = fields.Char(
        string="Clinic stands at",
        help="Where the clinic's code stands, in the notation of the keys, for example "
        "PV1-3-4 or clinic.code.",
    )
    clinic_ids = fields.One2many(
        "health.route.clinic", "route_id", string="Clinics", copy=True
    )

    _entry_idx = models.Index("(entry_id, sequence, id)")

    @api.depends("entry_id", "target_id", "mode")
    def _compute_display_name(self):
        for each in self:
            each.display_name = f"{each.entry_id.code} → {each.target_id.code}"

    @api.constrains("entry_id", "target_id")
    def _check_interfaces(self):
        for each in self:
            if each.entry_id.direction != "in":
                raise ValidationError(
                    self.env._("Only inbound interfaces accept messages to route.")
                )
            if each.target_id.codec != each.entry_id.codec:
                raise ValidationError(
                    self.env._(
                        "%(target)s reads %(theirs)s, but messages of %(entry)s are "
                        "%(ours)s. Choose a target of the same format.",
                        target=each.target_id.code,
                        theirs=each.target_id.codec,
                        entry=each.entry_id.code,
                        ours=each.entry_id.codec,
                    )
                )

    @api.constrains("mode", "clinic_ids", "target_id")
    def _check_shadow(self):
        for each in self:
            modes = {each.mode, *each.clinic_ids.mapped("mode")}
            if each.target_id.direction == "out" and "shadow" in modes:
                raise ValidationError(
                    self.env._(
                        "%s sends to a partner: what was sent cannot be rolled back. "
                        "Choose live or off.",
                        each.target_id.code,
                    )
                )

    @api.constrains("clinic_source", "clinic_ids", "entry_id")
    def _check_clinic_source(self):
        for each in self:
            if each.clinic_ids and not each.clinic_source:
                raise ValidationError(
                    self.env._("Say where the clinic's code stands in the message.")
                )
            if each.clinic_source:
                each.entry_id._check_key_source(each.clinic_source)

    # -- the table that doors read ------------------------------------------------

    def _routed_entries(self):
        return self.entry_id

    def _is_open(self):
        """Whether the target can take messages, if only to let them wait."""
        self.ensure_one()
        target = self.target_id
        is_running = target.active and target.state in ("live", "suspended")
        return is_running or target == self.entry_id

    def _pure(self):
        """This route as the door needs it."""
        self.ensure_one()
        target = self.target_id
        return route.Route(
            id=self.id,
            channel=Channel(
                target.id,
                target.backend_id.id,
                target.company_id.id,
                target.priority,
            ),
            own=target == self.entry_id,
            mode=self.mode,
            conditions=tuple(each._pure() for each in self.condition_ids),
            clinic_source=self.clinic_source or "",
            clinic_modes={
                each.clinic_id.code.upper(): each.mode for each in self.clinic_ids
            },
            order_key_source=target.order_key_source or "",
            direction=target.direction,
        )
