"""Replay: messages applied once more, as copies beside the untouched originals."""

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib import replay as rules, states
from ..lib.errors import HealthError

STATES = [
    (rules.DRAFT, "Draft"),
    (rules.PREVIEWED, "Previewed"),
    (rules.RUNNING, "Running"),
    (rules.PAUSED, "Paused"),
    (rules.DONE, "Done"),
    (rules.CANCELLED, "Cancelled"),
]
#: what has ended may be replayed; what is open is processed again or cancelled itself
_ENDED = Domain("state", "in", states.CLOSED) & Domain("is_shadow", "=", False)
#: what people may set, and until when
_EDITABLE = {"reason", "per_minute"}


#: the client hands a context on from action to action: what was chosen ends here
_NO_CHOICE = {"domain_selected": False, "active_domain": None}


class HealthReplay(models.Model):
    """One intention to apply messages again: which ones, why, how fast, how far.

    draft → previewed → running ⇄ paused → done, or cancelled. The search is evaluated
    with the person's rights, bound by the newest message of the preview, and frozen
    when the replay starts. ``health.replay.batch`` does the work.
    """

    _name = "health.replay"
    _description = "Replay"
    _order = "id desc"

    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        default=lambda self: self._default_company(),
    )
    user_id = fields.Many2one(
        "res.users",
        string="Requested by",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )
    domain = fields.Char(
        string="Messages",
        required=True,
        readonly=True,
        default=lambda self: str(self.env["health.choice"]._domain()),
    )
    reason = fields.Char(required=True, help="Why it is done; stays on record.")
    per_minute = fields.Integer(
        string="Messages a minute",
        required=True,
        default=600,
        help="Live traffic goes first in any case.",
    )
    state = fields.Selection(STATES, required=True, readonly=True, default=rules.DRAFT)
    bound_id = fields.Integer(
        string="Up to message",
        readonly=True,
        aggregator=None,
        help="Messages accepted after the preview are not part of it.",
    )
    started_at = fields.Datetime(string="Started", readonly=True)
    ended_at = fields.Datetime(string="Ended", readonly=True)
    cancel_reason = fields.Char(string="Cancelled because", readonly=True)

    # -- preview
    previewed_at = fields.Datetime(string="Previewed", readonly=True)
    preview_size = fields.Integer(string="Rehearsed", readonly=True)
    preview_change = fields.Integer(string="Would change something", readonly=True)
    preview_noop = fields.Integer(string="Would change nothing", readonly=True)
    preview_fail = fields.Integer(string="Would fail", readonly=True)
    preview_behind = fields.Integer(
        string="Would wait behind one that needs a person", readonly=True
    )
    preview_causes = fields.Json(readonly=True)
    outbound = fields.Integer(string="Would be sent again", readonly=True)
    left_out = fields.Integer(
        readonly=True, help="Still open: process or cancel these themselves."
    )
    other_company = fields.Integer(
        readonly=True, help="Of other companies: replay these on their own."
    )
    preview_text = fields.Text(string="Preview", compute="_compute_preview_text")

    # -- progress
    total = fields.Integer(readonly=True)
    position = fields.Integer(readonly=True, help="Handed over so far, of the total.")
    skipped = fields.Integer(
        string="Content gone", readonly=True, help="Retention has removed the content."
    )
    next_batch_at = fields.Datetime(readonly=True)
    created = fields.Integer(compute="_compute_progress")
    done = fields.Integer(string="Applied", compute="_compute_progress")
    no_op = fields.Integer(string="Nothing to do", compute="_compute_progress")
    failed = fields.Integer(string="Need a person", compute="_compute_progress")
    open_count = fields.Integer(string="Not yet applied", compute="_compute_progress")
    behind = fields.Integer(
        string="Behind one that needs a person", compute="_compute_progress"
    )
    progress = fields.Float(compute="_compute_progress", aggregator=None)

    _running_idx = models.Index("(id) WHERE state = 'running'")
    _pace = models.Constraint(
        "CHECK (per_minute > 0)", "A replay needs at least one message a minute."
    )

    def init(self):
        # the frozen ids: unknown to the ORM, which would load them with every record
        self.env.cr.execute(
            "ALTER TABLE health_replay ADD COLUMN IF NOT EXISTS targets int[]"
        )

    @api.model
    def _default_company(self):
        """The company of the chosen messages; of the first when there are several."""
        chosen = self.env["health.choice"]._domain()
        first = self.env["health.message"].search(chosen, order="id", limit=1)
        return first.company_id or self.env.company

    # -- what people may write ------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """People choose messages, a reason and a pace; all else follows."""
        if not self.env.su:
            for vals in vals_list:
                self._refuse_fields(set(vals) - _EDITABLE - {"domain"})
        return super().create(vals_list)

    def write(self, vals):
        """Reason and pace stay editable until the replay has ended."""
        if not self.env.su:
            self._refuse_fields(set(vals) - _EDITABLE)
            if any(replay.state in (rules.DONE, rules.CANCELLED) for replay in self):
                raise UserError(self.env._("This replay has ended."))
        return super().write(vals)

    @api.model
    def _refuse_fields(self, names):
        if names:
            raise UserError(
                self.env._("Of a replay only its reason and its pace can be set.")
            )

    @api.constrains("domain", "reason")
    def _check_request(self):
        for replay in self:
            self.env["health.choice"]._parse(replay.domain)
            if not (replay.reason or "").strip():
                raise ValidationError(self.env._("Say why the messages are replayed."))

    # -- texts and figures ------------------------------------------------------------

    def _compute_display_name(self):
        for replay in self:
            replay.display_name = self.env._("Replay %s", replay.id or "")

    @api.depends("preview_size", "total", "outbound", "left_out", "previewed_at")
    @api.depends_context("lang")
    def _compute_preview_text(self):
        preview = self.env["health.replay.preview"]
        for replay in self:
            replay.preview_text = "\n".join(preview._sentences(replay))

    @api.depends("total", "position", "skipped")
    def _compute_progress(self):
        """Counted from the messages themselves (health_message_replay_idx)."""
        groups = self.env["health.message"]._read_group(
            [("replay_id", "in", self.ids)], ["replay_id", "state"], ["__count"]
        )
        counts = {(replay.id, state): count for replay, state, count in groups}
        behind = dict(
            self.env["health.message"]._read_group(
                [
                    ("replay_id", "in", self.ids),
                    ("state", "=", states.WAITING),
                    ("next_try_at", "=", states.BEHIND),
                ],
                ["replay_id"],
                ["__count"],
            )
        )
        for replay in self:
            mine = {state: counts.get((replay.id, state), 0) for state in states.STATES}
            replay.created = sum(mine.values())
            replay.done = mine[states.DONE] + mine[states.REVERTED]
            replay.no_op = mine[states.IGNORED]
            replay.failed = mine[states.PARKED] + mine[states.UNKNOWN]
            replay.open_count = sum(
                mine[state]
                for state in (states.PENDING, states.WAITING, states.PROCESSING)
            )
            replay.behind = behind.get(replay, 0)
            replay.open_count -= replay.behind
            ended = replay.skipped + replay.created - replay.open_count
            replay.progress = 100.0 * ended / replay.total if replay.total else 0.0

    # -- which messages -----------------------------------------------------------

    def _chosen(self):
        """The domain of all chosen messages, up to the bound."""
        self.ensure_one()
        domain = self.env["health.choice"]._parse(self.domain)
        return domain & Domain("id", "<=", self.bound_id)

    def _own(self):
        """The domain of the chosen ones of this replay's company."""
        return self._chosen() & Domain("company_id", "=", self.company_id.id)

    def _targets(self):
        """The domain of those that will be replayed."""
        return self._own() & _ENDED

    # -- what people do -----------------------------------------------------------

    def action_preview(self):
        """Count on the server and rehearse; nothing is changed."""
        self._check_operator()
        for replay in self:
            replay._hold(rules.PREVIEWED)
            try:
                values = self.env["health.replay.preview"]._preview(replay)
            except HealthError as error:
                raise UserError(
                    self.env._("The preview has to wait: others work on these records.")
                ) from error
            replay.sudo().write({**values, "state": rules.PREVIEWED})
        return self._open_form()

    def action_start(self):
        """Freeze what matches now and begin."""
        self._check_operator()
        for replay in self:
            replay._hold(rules.RUNNING)
            if replay.state == rules.PREVIEWED:
                replay._freeze()
            replay._move(rules.RUNNING, {"next_batch_at": fields.Datetime.now()})
            self.env["health.replay.batch"]._enqueue(replay)

    def _freeze(self):
        """Keep the ids that match at this moment, with the person's rights."""
        query = self.env["health.message"]._search(self._targets(), order="id")
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                """UPDATE health_replay SET targets = ARRAY(%s) WHERE id = %s
                RETURNING cardinality(targets)""",
                query.select(),
                self.id,
            )
        )
        total = self.env.cr.fetchone()[0]
        if not total:
            raise UserError(self.env._("No message is left to replay."))
        self.sudo().write(
            {"total": total, "position": 0, "started_at": fields.Datetime.now()}
        )

    def action_pause(self):
        """Hand over no more; what was handed over is applied."""
        self._check_operator()
        for replay in self:
            replay._hold(rules.PAUSED)
            replay._move(rules.PAUSED)

    def _cancel(self, reason):
        """Stop for good; what was handed over and is not yet applied is cancelled.

        :param reason: the person's words; shown on replay and messages
        """
        self._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the replay is cancelled."))
        for replay in self:
            replay._hold(rules.CANCELLED)
            replay._move(
                rules.CANCELLED,
                {"cancel_reason": reason, "ended_at": fields.Datetime.now()},
            )
            waiting = self.env["health.message"].search(
                [
                    ("replay_id", "=", replay.id),
                    ("state", "in", ("pending", "waiting", "parked")),
                ]
            )
            if waiting:
                waiting._cancel(reason)

    def action_open_messages(self):
        """The copies of this replay."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "health_connector.health_message_action"
        )
        return dict(action, domain=[("replay_id", "=", self.id)], context=_NO_CHOICE)

    def _open_form(self):
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self[:1].id,
            "views": [(False, "form")],
            "context": _NO_CHOICE,
        }

    # -- states -------------------------------------------------------------------

    def _hold(self, target):
        """Lock the row, so that a batch at work ends first, and refuse a move that
        makes no sense any more."""
        self.ensure_one()
        self.flush_recordset()
        self.env.cr.execute(
            "SELECT 1 FROM health_replay WHERE id = %s FOR UPDATE", [self.id]
        )
        self.invalidate_recordset()
        if not rules.may_move(self.state, target):
            label = dict(STATES)[self.state]
            raise UserError(self.env._("The replay is %s.", label.lower()))

    def _move(self, target, values=None):
        self.sudo().write({**(values or {}), "state": target})

    @api.model
    def _check_operator(self):
        self.env["health.message"]._check_operator()

    @api.model
    def _cron_continue(self):
        """Cron: running replays whose job was lost, is slow or has nothing to do."""
        for replay in self.search([("state", "=", rules.RUNNING)]):
            self.env["health.replay.batch"]._continue(replay)
            self.env["ir.cron"]._commit_progress(1)
