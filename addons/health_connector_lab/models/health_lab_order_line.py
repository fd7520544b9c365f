from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import NO_ACCESS

from odoo.addons.health_connector.models.implied import ImpliedMany2one

from ..lib import status as rules
from ..lib.tables import worst

RESULT_STATUSES = [
    ("ordered", "Ordered"),
    ("registered", "In the laboratory"),
    ("preliminary", "Preliminary"),
    ("partial", "Partial"),
    ("final", "Final"),
    ("corrected", "Corrected"),
    ("cancelled", "Cancelled"),
    ("wrong", "Withdrawn as wrong"),
]
RESULT_FLAGS = [
    ("normal", "Normal"),
    ("abnormal", "Abnormal"),
    ("critical", "Critical"),
]
#: what a result changes, and what reverting it puts back
RESULT_FIELDS = (
    "filler_number",
    "filler_authority",
    "result_status",
    "result_at",
    "result_flag",
    "result_version",
    "result_observations",
    "result_message_id",
)


class HealthLabOrderLine(models.Model):
    """One ordered test and the status of its result."""

    _name = "health.lab.order.line"
    _description = "Laboratory test"
    _order = "order_id, sequence, id"
    _rec_name = "code"
    _check_company_auto = True

    order_id = fields.Many2one(
        "health.lab.order", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="order_id.company_id", store=True, index=True)
    sequence = fields.Integer(default=10)
    product_id = fields.Many2one(
        "product.product",
        string="Test",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        domain=[("lab_test_code", "!=", False)],
    )
    code = fields.Char(
        required=True,
        compute="_compute_code",
        store=True,
        readonly=False,
        precompute=True,
        help="Code by which the laboratory knows the test.",
    )
    added_by_lab = fields.Boolean(
        readonly=True,
        copy=False,
        help="Not ordered by us: a reflex test, or the test was done again.",
    )
    filler_number = fields.Char(
        string="Laboratory's number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Filler order number: how the laboratory names this test.",
    )
    filler_authority = fields.Char(readonly=True, copy=False)
    result_status = fields.Selection(
        RESULT_STATUSES,
        string="Status",
        required=True,
        default="ordered",
        readonly=True,
        copy=False,
    )
    result_at = fields.Datetime(string="Reported", readonly=True, copy=False)
    result_flag = fields.Selection(
        RESULT_FLAGS,
        string="Flag",
        readonly=True,
        copy=False,
        groups="health_base.group_user",
        help="The gravest flag of the observations.",
    )
    result_version = fields.Integer(
        string="Version",
        readonly=True,
        copy=False,
        aggregator=None,
        help="0: no result yet. Counted up when a released result is changed.",
    )
    result_observations = fields.Integer(
        string="Observations", readonly=True, copy=False, aggregator=None
    )
    result_message_id = ImpliedMany2one(
        "health.message",
        string="Message",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The sealed message that holds the values.",
    )
    result_before = fields.Json(copy=False, groups=NO_ACCESS)

    @api.depends("product_id")
    def _compute_code(self):
        for line in self:
            line.code = line.product_id.lab_test_code or line.code

    @api.ondelete(at_uninstall=False)
    def _unlink_except_reported(self):
        if any(line.result_status != rules.ORDERED for line in self):
            raise UserError(
                self.env._(
                    "The laboratory has reported on this test. It cannot be removed."
                )
            )

    def _known_result(self):
        """The result status in its pure form."""
        self.ensure_one()
        return rules.Result(
            self.result_status, self.result_at or None, self.result_version
        )

    def _came_with(self, message_id):
        """Whether the known result came with the very bytes of this message: it is
        that one, or the replay of it."""
        self.ensure_one()
        known_id = self.result_message_id.id
        self.env.cr.execute(
            "SELECT count(DISTINCT content_hash) FROM health_message WHERE id IN %s",
            [(known_id or 0, message_id)],
        )
        return bool(known_id) and self.env.cr.fetchone() == (1,)

    def _apply_result(self, result, statement, authority, message_id):
        """Take over a newer result and keep the former one for :meth:`_revert_result`.

        :param result: ``lib.status.Result``
        :param statement: ``lib.report.Statement``
        :param authority: who gave the statement's filler number
        :param message_id: id of the ``health.message`` that brought it
        """
        self.ensure_one()
        values = {
            "result_status": result.status,
            "result_at": result.at,
            "result_version": result.version,
            "result_flag": self._flag_after(statement),
            "result_observations": max(
                statement.observations, self.result_observations
            ),
            "result_message_id": message_id,
        }
        if statement.filler and not self.filler_number:
            values["filler_number"] = statement.filler
            values["filler_authority"] = authority
        if self.result_message_id.id != message_id:
            values["result_before"] = self._snapshot()
        self.write(values)

    def _flag_after(self, statement):
        """A report with fewer observations than known leaves some out: their flag
        must not get lost, so that the gravest holds. What is withdrawn has none."""
        if statement.status in rules.WITHDRAWN:
            return False
        flags = [statement.flag] if statement.flag else []
        if statement.observations < self.result_observations and self.result_flag:
            flags.append(self.result_flag)
        return worst(flags) or False

    def _snapshot(self):
        """What a result will change, as JSON; empty for a line it brought itself."""
        if self.added_by_lab and not self.result_message_id:
            return {"added": True}
        values = {name: self[name] for name in RESULT_FIELDS}
        values["result_at"] = fields.Datetime.to_string(self.result_at)
        values["result_message_id"] = self.result_message_id.id
        return values

    def _revert_result(self):
        """Put the former result back, one step; lines that came with the result go.

        :return: False when a line does not know what was before; then none changed
        """
        if not all(line.result_before for line in self):
            return False
        added = self.filtered(lambda line: "added" in line.result_before)
        for line in self - added:
            line.write({**line.result_before, "result_before": False})
        nameless = self.filtered(lambda line: line in added or not line.filler_number)
        self.env["health.binding"].search(
            [("res_model", "=", self._name), ("res_id", "in", nameless.ids)]
        ).unlink()
        added.write({"result_status": rules.ORDERED})
        added.unlink()
        return True
