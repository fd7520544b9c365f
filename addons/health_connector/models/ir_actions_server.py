"""Events out of Odoo: an automation rule that sends to an integration."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..lib.keyring import KeyringError

#: an interface in one of these takes events; suspended: they wait
_TAKES_EVENTS = ("live", "suspended")


class IrActionsServer(models.Model):
    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[("health_emit", "Send to an Integration")],
        ondelete={"health_emit": "cascade"},
    )
    health_interface_id = fields.Many2one(
        "health.interface",
        string="Interface",
        domain=[("direction", "=", "out")],
        ondelete="restrict",
        index="btree_not_null",
    )
    health_event = fields.Char(
        string="Event",
        help="Short name of what happened, kept with the message, for example booked. "
        "Empty: the trigger of the automation rule.",
    )

    @api.constrains("state", "health_interface_id", "model_id")
    def _check_health_emit(self):
        for action in self.filtered(lambda each: each.state == "health_emit"):
            if not action.health_interface_id:
                raise ValidationError(self.env._("Choose the interface to send to."))
            wanted = action.health_interface_id.mapping_id.model_name
            if wanted and wanted != action.model_id.model:
                raise ValidationError(
                    self.env._(
                        "Interface %(code)s sends records of %(wanted)s, this action "
                        "is about %(given)s.",
                        code=action.health_interface_id.code,
                        wanted=wanted,
                        given=action.model_id.model,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        actions = super().create(vals_list)
        actions._check_may_emit()
        return actions

    def write(self, vals):
        self._check_may_emit()
        done = super().write(vals)
        self._check_may_emit()
        return done

    def _check_may_emit(self):
        """What leaves the house is for administrators of the integrations to say."""
        if self.env.su or all(each.state != "health_emit" for each in self):
            return
        if not self.env.user.has_group("health_base.group_administrator"):
            raise AccessError(
                self.env._(
                    "Only administrators of the integrations may set up what is sent."
                )
            )

    def _name_depends(self):
        return [*super()._name_depends(), "health_interface_id"]

    def _generate_action_name(self):
        if self.state == "health_emit" and self.health_interface_id:
            name = self.health_interface_id.sudo().name
            return self.env._("Send to %s", name)
        return super()._generate_action_name()

    def _run_action_health_emit_multi(self, eval_context=None):
        """Write a message for each record, in the transaction of the business: a
        rollback leaves none. The user who caused it needs no rights on messages.

        One action tells a record once in a transaction, however often the rule fires
        in it (it does for each field that is computed): all would be sent as the record
        is after the commit.

        Records of other companies than the interface's do not leave by it.
        """
        interface = self.health_interface_id.sudo()
        records = eval_context.get("records") or eval_context.get("record")
        if not records or interface.state not in _TAKES_EVENTS or not interface.active:
            return False
        trigger = self.base_automation_id.sudo().trigger or ""
        gone = trigger == "on_unlink"
        for record in records.sudo():
            if "company_id" in record._fields and (
                record.company_id and record.company_id != interface.company_id
            ):
                continue
            self._emit_record(interface, record, self.health_event or trigger, gone)
        return False

    def _emit_record(self, interface, record, event, gone):
        """One message; its document is built now when the record is about to go."""
        document = None
        if gone:
            handler = (
                self.env["health.plugin"].sudo()._get("handler", interface.handler)
            )
            handler = handler.with_company(interface.company_id)
            document = handler._build(record, interface)
        try:
            self.env["health.message"]._emit(
                interface,
                record=record,
                document=document,
                event=event,
                dedupe_key=self._once_per_transaction(record),
            )
        except KeyringError as exc:
            raise UserError(
                self.env._(
                    "This has to be told to %s, and the server's key ring is missing. "
                    "Ask your administrator.",
                    interface.name,
                )
            ) from exc

    def _once_per_transaction(self, record):
        """A key that only this transaction uses. It stands on the message: undoing to
        a savepoint takes it away with the message. Transaction numbers begin anew in a
        database that was restored, hence the time.
        """
        self.env.cr.execute("SELECT txid_current()")
        transaction = self.env.cr.fetchone()[0]
        moment = self.env.cr.now().isoformat()
        return f"rule:{self.id}:{record._name}:{record.id}:{transaction}:{moment}"
