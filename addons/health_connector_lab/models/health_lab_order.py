from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.health_connector.models.implied import ImpliedMany2one

from ..lib import status as rules

HEALTH_GROUPS = "health_base.group_user,health_base.group_operator"

STATES = [
    ("draft", "Draft"),
    ("ordered", "Ordered"),
    ("partial", "Partial"),
    ("final", "Final"),
    ("corrected", "Corrected"),
    ("cancelled", "Cancelled"),
]


class HealthLabOrder(models.Model):
    """What was ordered from a laboratory, and how far its results have come.

    Holds what billing and follow-up need: status, dates, a flag. Observation values
    are nowhere in it; ``result_message_id`` points to the sealed message.
    """

    _name = "health.lab.order"
    _description = "Laboratory order"
    _inherit = ["mail.thread"]
    _order = "ordered_at desc, id desc"
    _rec_name = "placer_number"
    _check_company_auto = True

    placer_number = fields.Char(
        string="Order number",
        required=True,
        copy=False,
        default=lambda self: self._next_number(),
        help="Placer order number: ours. The laboratory repeats it in every result.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Patient",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain=[("is_patient", "=", True)],
        groups=HEALTH_GROUPS,
    )
    clinic_id = fields.Many2one(
        "health.clinic",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        compute="_compute_clinic_id",
        store=True,
        readonly=False,
        precompute=True,
    )
    practitioner_id = fields.Many2one(
        "health.practitioner",
        string="Ordered by",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    backend_id = fields.Many2one(
        "health.backend",
        string="Laboratory",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain=[("kind", "=", "laboratory")],
        help="The only laboratory whose results this order takes. Empty: any.",
    )
    ordered_at = fields.Datetime(string="Ordered", default=fields.Datetime.now)
    state = fields.Selection(
        STATES, required=True, default="draft", copy=False, index=True, tracking=True
    )
    result_at = fields.Datetime(
        string="Last result",
        readonly=True,
        copy=False,
        help="When the laboratory reported it.",
    )
    result_message_id = ImpliedMany2one(
        "health.message",
        string="Last result message",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The sealed message that holds the values.",
    )
    line_ids = fields.One2many("health.lab.order.line", "order_id", copy=True)
    withdrawn = fields.Boolean(
        string="Result withdrawn",
        compute="_compute_withdrawn",
        search="_search_withdrawn",
        help="The laboratory has declared a result of this order wrong.",
    )

    _placer_uniq = models.Constraint(
        "UNIQUE (company_id, placer_number)",
        "Another laboratory order of the company has this number.",
    )

    @api.model
    def _next_number(self):
        return self.env["ir.sequence"].next_by_code("health.lab.order")

    @api.depends("partner_id")
    def _compute_clinic_id(self):
        """The patient's home clinic, unless another one is chosen."""
        for order in self:
            order.clinic_id = order.clinic_id or order.partner_id.clinic_id

    @api.depends("line_ids.result_status")
    def _compute_withdrawn(self):
        for order in self:
            statuses = order.line_ids.mapped("result_status")
            order.withdrawn = rules.WRONG in statuses

    @api.model
    def _search_withdrawn(self, operator, value):
        if operator != "in":
            return NotImplemented
        return [("line_ids.result_status", "=", rules.WRONG)]

    @api.ondelete(at_uninstall=False)
    def _unlink_except_ordered(self):
        if any(order.state != "draft" for order in self):
            raise UserError(
                self.env._(
                    "A laboratory order that was placed cannot be deleted. Cancel it "
                    "instead."
                )
            )

    # -- what people do ----------------------------------------------------------

    def action_place(self):
        """Draft orders become ordered: results may arrive."""
        drafts = self.filtered(lambda order: order.state == "draft")
        if any(not order.line_ids for order in drafts):
            raise UserError(self.env._("Add at least one test before ordering."))
        drafts.write({"state": "ordered"})

    def action_cancel(self):
        """The clinic wants no results any more; those that come are put to staff."""
        self.write({"state": "cancelled"})

    def action_reopen(self):
        """Undo a cancellation: the state follows from the results again."""
        for order in self.filtered(lambda order: order.state == "cancelled"):
            order.state = order._derived_state()

    def action_open_messages(self):
        """The messages that changed this order."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_action"
        )
        domain = [("res_model", "=", self._name), ("res_id", "=", self.id)]
        return dict(action, domain=domain, context={})

    # -- what results do ---------------------------------------------------------

    def _derived_state(self):
        self.ensure_one()
        return rules.order_state(self.line_ids.mapped("result_status"))

    def _is_cancelled_by_clinic(self):
        """Cancelled by a person, not because the laboratory cancelled every test."""
        self.ensure_one()
        return self.state == "cancelled" and self._derived_state() != "cancelled"

    def _note_result(self, message_id):
        """Follow the lines after a result was applied to them.

        :param message_id: id of the ``health.message`` that brought it
        """
        for order in self:
            times = [line.result_at for line in order.line_ids if line.result_at]
            order.write(
                {
                    "state": order._derived_state(),
                    "result_at": max(times, default=False),
                    "result_message_id": message_id,
                }
            )
