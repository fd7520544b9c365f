"""Legal holds: who kept what from being deleted, and why."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

#: what can be held
TARGETS = ("health.backend", "health.interface", "health.message")


class HealthLegalHold(models.Model):
    """One entry for each hold that was set or lifted; append-only evidence."""

    _name = "health.legal.hold"
    _inherit = "health.evidence"
    _description = "Legal hold entry"
    _order = "id desc"
    _log_access = False
    _rec_name = "reason"

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    res_model = fields.Selection(
        [
            ("health.backend", "Backend"),
            ("health.interface", "Interface"),
            ("health.message", "Message"),
        ],
        string="On",
        required=True,
        readonly=True,
    )
    res_id = fields.Many2oneReference(
        string="Number",
        model_field="res_model",
        required=True,
        readonly=True,
        aggregator=None,
    )
    is_set = fields.Boolean(string="Set", readonly=True, help="Or else lifted.")
    reason = fields.Char(required=True, readonly=True)
    user_id = fields.Many2one("res.users", string="By", required=True, readonly=True)
    at = fields.Datetime(required=True, readonly=True)

    _target_idx = models.Index("(res_model, res_id)")

    @api.model
    def _change(self, records, is_set, reason):
        """Set or lift the hold on records, with one entry each. Those that are so
        already are left alone.

        :param records: of one of :data:`TARGETS`
        :param reason: the person's words
        """
        self._check_may_change(records, reason)
        records = records.filtered(lambda record: bool(record.legal_hold) != is_set)
        # Waits for the batches of retention that are at work, and makes those that
        # wait for this one begin again: they have not seen the hold.
        self.env.cr.execute("UPDATE health_interface SET legal_hold = legal_hold")
        # evidence cannot be written by the ORM, and a message is evidence
        self.env.cr.execute(
            f"UPDATE {records._table} SET legal_hold = %s WHERE id = ANY(%s)",
            [is_set, records.ids],
        )
        records.invalidate_recordset(["legal_hold"])
        self.sudo().create(
            [
                {
                    "company_id": record.company_id.id,
                    "res_model": record._name,
                    "res_id": record.id,
                    "is_set": is_set,
                    "reason": reason.strip(),
                    "user_id": self.env.uid,
                    "at": fields.Datetime.now(),
                }
                for record in records
            ]
        )

    @api.model
    def _check_may_change(self, records, reason):
        if not self.env.user.has_group("health_base.group_administrator"):
            raise AccessError(
                self.env._("Only administrators set and lift legal holds.")
            )
        records.check_access("read")
        if records._name not in TARGETS or not records:
            raise UserError(self.env._("Choose what the hold is about."))
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the hold is set or lifted."))

    @api.model
    def _refuse_plain_write(self, vals):
        """For ``write`` of what can be held."""
        if "legal_hold" in vals:
            raise UserError(
                self.env._("A legal hold is set and lifted with a reason only.")
            )
