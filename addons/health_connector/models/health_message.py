"""The envelope of an exchanged unit, and the one way its state moves."""

from odoo import api, fields, models
from odoo.exceptions import MissingError, UserError
from odoo.fields import NO_ACCESS
from odoo.tools import SQL

from ..lib import claiming, states
from ..lib.errors import BUG, HealthError
from .implied import ImpliedMany2one

_OPEN = states.sql_list(states.OPEN)
_BLOCKING = states.sql_list(states.BLOCKING)
_STUCK = states.sql_list(states.STUCK)
_CLAIMABLE = states.sql_list(states.CLAIMABLE)

STATE_LABELS = [
    ("pending", "Pending"),
    ("processing", "Processing"),
    ("waiting", "Waiting"),
    ("done", "Done"),
    ("ignored", "Ignored"),
    ("parked", "Parked"),
    ("unknown", "In doubt"),
    ("cancelled", "Cancelled"),
    ("reverted", "Reverted"),
]


class HealthMessage(models.Model):
    """One exchanged unit. Rows are written by ``lib/accept.py``; the envelope is
    immutable, state moves only through :meth:`_transition`.

    A hot table: no chatter, no stored related or computed field, and exactly the
    indexes below, each named after the query it serves.
    """

    _name = "health.message"
    _inherit = "health.evidence"
    _description = "Message"
    _order = "id desc"
    _log_access = False
    _rec_name = "id"

    uid = fields.Char(string="Reference", size=32, required=True, readonly=True)
    company_id = ImpliedMany2one("res.company", required=True, readonly=True)
    backend_id = ImpliedMany2one("health.backend", required=True, readonly=True)
    interface_id = fields.Many2one(
        "health.interface", required=True, readonly=True, ondelete="restrict"
    )
    direction = fields.Selection(
        [("in", "Inbound"), ("out", "Outbound")], required=True, readonly=True
    )
    message_type = fields.Char(string="Type", readonly=True)
    external_ref = fields.Char(
        string="Partner reference",
        readonly=True,
        help="Control id or idempotency key given by the partner.",
    )
    dedupe_key = fields.Char(readonly=True, groups=NO_ACCESS)
    order_key = fields.Char(readonly=True, groups=NO_ACCESS)
    content_hash = fields.Char(readonly=True, groups=NO_ACCESS)
    size = fields.Integer(string="Bytes", readonly=True, aggregator=None)
    priority = fields.Integer(readonly=True, aggregator=None)
    conflict_id = ImpliedMany2one(
        "health.message",
        readonly=True,
        help="The message that used the same key before, with other content.",
    )
    origin_id = ImpliedMany2one(
        "health.message",
        string="Routed from",
        readonly=True,
        help="The accepted message this one was routed from; its bytes stand there.",
    )
    route_id = ImpliedMany2one(
        "health.route", readonly=True, help="The route that brought it here."
    )
    replay_of_id = ImpliedMany2one(
        "health.message",
        string="Replay of",
        readonly=True,
        help="The untouched original that this message repeats.",
    )
    replay_id = ImpliedMany2one("health.replay", readonly=True)
    is_shadow = fields.Boolean(
        string="Shadow",
        readonly=True,
        help="Applied in a transaction that is rolled back, and compared.",
    )
    event = fields.Char(
        readonly=True, help="Outbound: what happened to the record, as emitted."
    )
    legal_hold = fields.Boolean(
        readonly=True, help="Retention leaves the message and its content alone."
    )
    accepted_at = fields.Datetime(string="Accepted", required=True, readonly=True)

    state = fields.Selection(STATE_LABELS, required=True, readonly=True)
    state_at = fields.Datetime(string="In this state since", readonly=True)
    tries = fields.Integer(readonly=True, aggregator=None)
    next_try_at = fields.Datetime(string="Next try", readonly=True)
    intent_at = fields.Datetime(
        readonly=True,
        help="Outbound: when the call was committed to. From then on, until its "
        "outcome is known, it may have reached the partner.",
    )
    failing_since = fields.Datetime(
        readonly=True,
        help="First failure since it was accepted or processed again: the budget by "
        "age counts from here.",
    )
    lease_owner = fields.Char(readonly=True)
    lease_until = fields.Datetime(readonly=True)
    error_class = fields.Char(readonly=True)
    error_code = fields.Char(string="Cause", readonly=True)
    reason = fields.Char(
        readonly=True, help="Why it was ignored, cancelled or reverted."
    )
    exception_id = fields.Many2one("health.exception", readonly=True)
    res_model = fields.Char(readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", readonly=True, aggregator=None
    )

    attempt_ids = fields.One2many("health.attempt", "message_id", readonly=True)
    payload_ids = fields.One2many("health.payload", "message_id", readonly=True)
    is_behind = fields.Boolean(
        string="Waits behind another", compute="_compute_is_behind"
    )
    behind = fields.Integer(
        string="Holds back",
        compute="_compute_behind",
        help="Later messages of the same order key that wait for this one.",
    )

    # accept: decides new or duplicate without a race
    _dedupe = models.UniqueIndex("(interface_id, dedupe_key)")
    # drain: what may be claimed, most urgent first
    _claim_idx = models.Index(
        f"(backend_id, priority, id) WHERE direction = 'in' AND state IN {_CLAIMABLE}"
    )
    # outbound drain: what may be sent, and calls in doubt that are due
    _out_idx = models.Index(
        f"(backend_id, priority, id) WHERE direction = 'out' AND state IN {_CLAIMABLE}"
    )
    _doubt_idx = models.Index("(backend_id, next_try_at) WHERE state = 'unknown'")
    # drain: does an earlier message of the order key stand in the way?
    _blocking_idx = models.Index(
        "(backend_id, order_key, id) "
        f"WHERE order_key IS NOT NULL AND state IN {_BLOCKING}"
    )
    # drain: the open messages of an order key; lists: what is open
    _open_idx = models.Index(f"(backend_id, order_key, id) WHERE state IN {_OPEN}")
    # dispatch: leases that ended
    _lease_idx = models.Index("(lease_until) WHERE state = 'processing'")
    # exception lists: the messages an exception holds
    _exception_idx = models.Index("(exception_id) WHERE exception_id IS NOT NULL")
    # business records: the messages that changed one
    _record_idx = models.Index("(res_model, res_id) WHERE res_id IS NOT NULL")
    # shadow comparison and retention: the copies of a message
    _origin_idx = models.Index("(origin_id) WHERE origin_id IS NOT NULL")
    # lists: what needs a person; retention: what is open for too long
    _stuck_idx = models.Index(f"(interface_id, id) WHERE state IN {_STUCK}")
    # lists: what is on hold
    _legal_hold_idx = models.Index("(id) WHERE legal_hold IS TRUE")
    # roll-up: what changed since its last run. BRIN costs a message next to nothing;
    # narrow ranges, because new rows go wherever old ones have left room
    _state_at_idx = models.Index(
        "USING brin (state_at) WITH (pages_per_range = 8, autosummarize = on)"
    )
    # lists: a partner's reference; the few messages of a small company
    _lookup_idx = models.Index(
        "USING brin (company_id int4_bloom_ops (n_distinct_per_range = 16), "
        "external_ref text_bloom_ops (n_distinct_per_range = 400)) "
        "WITH (pages_per_range = 16, autosummarize = on)"
    )
    # roll-up: an hour; lists: the last day; retention: what is old enough
    _accepted_idx = models.Index("(accepted_at, interface_id)")
    # a replay's progress, and what its cancellation cancels
    _replay_idx = models.Index("(replay_id, state) WHERE replay_id IS NOT NULL")
    # a message's replays
    _replay_of_idx = models.Index("(replay_of_id) WHERE replay_of_id IS NOT NULL")
    # lists: newest of an interface
    _interface_idx = models.Index("(interface_id, id DESC)")

    def init(self):
        # A message is written three times, never in place: its state stands in the
        # conditions of the indexes. By default a table of a million is vacuumed after
        # 200,000 dead rows; a claim that finds nothing took 11 ms over the entries of
        # 100,000, and 0.02 ms after the vacuum.
        self.env.cr.execute(
            """ALTER TABLE health_message SET (
                   autovacuum_vacuum_scale_factor = 0.02,
                   autovacuum_analyze_scale_factor = 0.02,
                   autovacuum_vacuum_insert_scale_factor = 0.05)"""
        )

    @api.depends("uid", "message_type")
    def _compute_display_name(self):
        for message in self:
            try:
                kind = message.message_type or message.interface_id.code or ""
            except MissingError:  # retention took it; links to it stay
                kind = self.env._("(deleted)")
            message.display_name = f"#{message.id} {kind}".strip()

    @api.depends("state")
    def _compute_behind(self):
        """How many wait behind each message, one query for all."""
        counts = {}
        if self.ids:
            self.env.cr.execute(
                f"""SELECT m.id, count(l.id)
                      FROM health_message m
                      JOIN health_message l
                        ON l.backend_id = m.backend_id AND l.order_key = m.order_key
                       AND l.id > m.id AND l.state IN {_OPEN}
                     WHERE m.id IN %s AND m.state IN {_OPEN}
                       AND m.order_key IS NOT NULL
                  GROUP BY m.id""",
                [tuple(self.ids)],
            )
            counts = dict(self.env.cr.fetchall())
        for message in self:
            message.behind = counts.get(message.id, 0)

    @api.depends("state", "next_try_at")
    def _compute_is_behind(self):
        for message in self:
            message.is_behind = (
                message.state == states.WAITING and message.next_try_at == states.BEHIND
            )

    # -- the funnel -------------------------------------------------------------

    @api.model
    def _transition(self, target, rows):
        """Move messages to ``target``; the only place that changes a state, but for
        the statements of ``lib/claiming.py``, which find and move at once.

        The rows are locked by the update itself and moved only from legal origins.

        :param target: a state of ``lib/states.py``
        :param rows: {message id: {column: value}}, the same columns for all rows
        :raises HealthError: ``message.illegal_move`` when any row may not move; then
            none has moved if the caller rolls back
        """
        if not rows:
            return
        columns = list(next(iter(rows.values())))
        self.env.cr.execute(
            SQL(
                """UPDATE health_message m
                      SET state = %s, state_at = clock_timestamp() AT TIME ZONE 'UTC'%s
                     FROM unnest(%s) AS v (%s)
                    WHERE m.id = v.id AND m.state IN %s
                RETURNING m.id""",
                target,
                SQL().join(
                    SQL(", %s = v.%s", SQL.identifier(name), SQL.identifier(name))
                    for name in columns
                ),
                SQL(", ").join(self._column_arrays(columns, rows)),
                SQL(", ").join(map(SQL.identifier, ["id", *columns])),
                states.origins(target),
            )
        )
        moved = {row[0] for row in self.env.cr.fetchall()}
        if len(moved) != len(rows):
            raise HealthError(
                "message.illegal_move",
                BUG,
                {"target": target, "messages": sorted(set(rows) - moved)[:20]},
            )
        self.browse(moved).invalidate_recordset()

    def _column_arrays(self, columns, rows):
        """The rows as typed arrays, one per column, the id first."""
        yield SQL("%s::int[]", list(rows))
        for name in columns:
            kind = SQL(self._fields[name].column_type[1] + "[]")
            values = [row[name] for row in rows.values()]
            yield SQL("%s::%s", values, kind)

    # -- what people may do -----------------------------------------------------

    def action_process_again(self):
        """Put parked messages back in line; a person has fixed the cause. Where the
        whole search is selected, all of it is meant."""
        self._check_operator()
        parked = self.env["health.choice"]._narrow(self, [("state", "=", "parked")])
        if not parked:
            raise UserError(self.env._("Only parked messages can be processed again."))
        self._transition(
            states.PENDING,
            {
                message.id: {
                    "next_try_at": fields.Datetime.now(),
                    "tries": 0,
                    "failing_since": None,
                }
                for message in parked
            },
        )
        parked._forget_sent()
        parked._release_behind()

    def _cancel(self, reason):
        """Close messages that nobody will apply.

        :param reason: the person's words; shown on the message
        """
        self._check_operator()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the message is cancelled."))
        self._transition(
            states.CANCELLED, {message.id: {"reason": reason} for message in self}
        )
        self.exception_id._close_when_clear()
        self._release_behind()

    def _release_behind(self):
        """What waited behind these messages may go on, after them."""
        values = [self.ids, states.BEHIND]
        self.env.cr.execute(claiming.RELEASE_BEHIND, values)
        self.invalidate_model()
        for direction in set(self.mapped("direction")):
            moved = self.filtered(lambda each: each.direction == direction)  # noqa: B023
            self.env["health.drain"]._wake_after_commit(moved.backend_id.ids, direction)

    def _check_operator(self):
        self.check_access("read")
        if not self.env.user.has_group("health_base.group_operator"):
            raise UserError(
                self.env._("Only operators of the integrations may do this.")
            )

    def action_open_record(self):
        """The business record this message changed."""
        self.ensure_one()
        if not self.res_model or not self.res_id:
            raise UserError(self.env._("This message has not changed any record."))
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }
