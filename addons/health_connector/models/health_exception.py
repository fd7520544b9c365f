"""A work item for staff: one cause and everything it holds up."""

import json

from odoo import api, fields, models
from odoo.exceptions import UserError

from .health_error_policy_line import ROLES


class HealthException(models.Model):
    """One cause (fingerprint), not one message. Its texts come from the playbook of
    its code when it is read, so they follow the reader's language."""

    _name = "health.exception"
    _description = "Exception"
    _order = "last_at desc, id desc"
    _log_access = False
    _rec_name = "code"

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    backend_id = fields.Many2one("health.backend", required=True, readonly=True)
    interface_id = fields.Many2one("health.interface", required=True, readonly=True)
    clinic_id = fields.Many2one("health.clinic", readonly=True)
    fingerprint = fields.Char(required=True, readonly=True)
    code = fields.Char(string="Cause", required=True, readonly=True)
    error_class = fields.Char(required=True, readonly=True)
    params = fields.Json(readonly=True)
    subject = fields.Json(readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("closed", "Closed")], required=True, default="open"
    )
    goes_to = fields.Selection(ROLES, string="For", readonly=True)
    first_at = fields.Datetime(string="Since", readonly=True)
    last_at = fields.Datetime(string="Last seen", readonly=True)
    owner_id = fields.Many2one("res.users", string="Assigned to")
    due_at = fields.Datetime(string="Due", readonly=True)
    close_reason = fields.Char(readonly=True)
    closed_at = fields.Datetime(readonly=True)

    title = fields.Char(compute="_compute_texts")
    explanation = fields.Text(compute="_compute_texts")
    next_step = fields.Text(string="What to do", compute="_compute_texts")
    message_ids = fields.One2many("health.message", "exception_id", readonly=True)
    message_count = fields.Integer(
        string="Messages", compute="_compute_message_count", aggregator=None
    )

    # record: one open exception per cause, decided without a race
    _open_cause = models.UniqueIndex("(interface_id, fingerprint) WHERE state = 'open'")
    _open_idx = models.Index("(company_id, last_at DESC) WHERE state = 'open'")

    def write(self, vals):
        """People assign exceptions; all else follows from what happens."""
        if not self.env.su and set(vals) - {"owner_id"}:
            raise UserError(
                self.env._("Of an exception only the assignment can be changed.")
            )
        return super().write(vals)

    @api.depends("code", "error_class", "params", "subject")
    @api.depends_context("lang")
    def _compute_texts(self):
        playbooks = self.env["health.playbook"].sudo()
        for exception in self:
            book = playbooks._for(exception.code, exception.error_class)
            values = {
                **(exception.params or {}),
                **(exception.subject or {}),
                "interface": exception.interface_id.name,
                "backend": exception.backend_id.name,
                "clinic": exception.clinic_id.name
                or (exception.subject or {}).get("clinic")
                or self.env._("an unnamed clinic"),
            }
            exception.title = book._render("title", values) or exception.code
            exception.explanation = book._render("explanation", values)
            exception.next_step = book._render("next_step", values)

    @api.depends("title")
    def _compute_display_name(self):
        for exception in self:
            exception.display_name = exception.title or exception.code

    def _compute_message_count(self):
        counts = dict(
            self.env["health.message"]._read_group(
                [("exception_id", "in", self.ids), ("state", "=", "parked")],
                ["exception_id"],
                ["__count"],
            )
        )
        for exception in self:
            exception.message_count = counts.get(exception, 0)

    @api.model
    def _record(self, interface, failure, at):
        """The open exception of a cause, made if there is none. Runs in the cursor
        that records failures.

        :param failure: ``lib.errors.Failure``
        :return: exception id
        """
        ring = self.env["health.keyring"]._ring()
        subject = dict(failure.subject)
        role = self._goes_to(interface, failure)
        clinic_id = subject.pop("clinic_id", None)
        self.env.cr.execute(
            """INSERT INTO health_exception (
                      company_id, backend_id, interface_id, clinic_id, fingerprint,
                      code, error_class, params, subject, goes_to, state, first_at,
                      last_at, due_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'open', %s, %s,
                       %s + %s * interval '1 minute')
               ON CONFLICT (interface_id, fingerprint) WHERE state = 'open'
               DO UPDATE SET last_at = EXCLUDED.last_at
               RETURNING id""",
            [
                interface.company_id.id,
                interface.backend_id.id,
                interface.id,
                clinic_id,
                ring.blind(f"cause:{interface.id}", failure.cause),
                failure.code,
                failure.error_class,
                json.dumps(failure.params, default=str),
                json.dumps(subject, default=str),
                role,
                at,
                at,
                at,
                interface.allowed_latency,
            ],
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _goes_to(self, interface, failure):
        """Who is asked to act: the cause's own playbook knows, else the policy."""
        book = self.env["health.playbook"]._for(failure.code, failure.error_class)
        if book and book.code != failure.error_class:
            return book.role
        return interface._policy().line(failure.error_class).goes_to

    def _close_when_clear(self):
        """Close exceptions that hold up nothing any more."""
        if not self.ids:
            return
        self.env.cr.execute(
            """UPDATE health_exception e
                  SET state = 'closed', closed_at = now() AT TIME ZONE 'UTC',
                      close_reason = 'resolved'
                WHERE e.id = ANY(%s) AND e.state = 'open'
                  AND NOT EXISTS (
                      SELECT 1 FROM health_message m
                       WHERE m.exception_id = e.id
                         AND m.state IN ('parked', 'unknown', 'pending', 'waiting',
                                         'processing'))
            """,
            [self.ids],
        )
        self.invalidate_recordset()

    @api.model
    def _close_cause(self, interface, code):
        """Close the exception of a cause that is about no message and has gone."""
        self.env.cr.execute(
            """UPDATE health_exception
                  SET state = 'closed', closed_at = now() AT TIME ZONE 'UTC',
                      close_reason = 'resolved'
                WHERE interface_id = %s AND code = %s AND state = 'open'""",
            [interface.id, code],
        )
        self.invalidate_model()

    def action_process_again(self):
        """Try everything this cause holds up once more."""
        self.check_access("write")
        parked = self.env["health.message"].search(
            [("exception_id", "in", self.ids), ("state", "=", "parked")]
        )
        if not parked:
            raise UserError(self.env._("This exception holds up no message any more."))
        parked.action_process_again()

    def action_assign_to_me(self):
        """Take the work item."""
        self.check_access("write")
        self.write({"owner_id": self.env.uid})

    def action_open_messages(self):
        """The messages this cause holds up."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_action"
        )
        return dict(action, domain=[("exception_id", "=", self.id)], context={})
