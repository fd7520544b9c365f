"""Statistics: the hourly roll-up, the only thing dashboards aggregate."""

import logging
import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..lib import rollup
from .work import DATABASE_CONFLICTS, transaction

_logger = logging.getLogger(__name__)

#: hours counted in one transaction
CHUNK = 50
#: seconds for one run of the cron; what is left waits for the next
BUDGET = 60
#: clocks of the nodes may differ by this, and Odoo's times are cut to seconds
SKEW = timedelta(minutes=2)


def _count(label, **options):
    return fields.Integer(string=label, required=True, default=0, **options)


class HealthInterfaceStat(models.Model):
    """What became of the messages that one interface accepted in one hour (UTC).

    ``accepted`` is the sum of the columns of the states; messages in shadow mode are
    apart. Latency is that of messages that are done: seconds from accepted to done;
    the histogram's columns count up to their end (``latency_5s`` includes
    ``latency_1s``). Figures of deleted messages stand in a row of their own with
    ``is_purged``, so sum over both.
    """

    _name = "health.interface.stat"
    _description = "Statistics"
    _order = "hour desc, interface_id"
    _log_access = False
    _rec_name = "hour"

    interface_id = fields.Many2one(
        "health.interface", required=True, readonly=True, ondelete="restrict"
    )
    backend_id = fields.Many2one("health.backend", required=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    direction = fields.Selection(
        [("in", "Inbound"), ("out", "Outbound")], required=True, readonly=True
    )
    hour = fields.Datetime(required=True, readonly=True, help="Start of the hour, UTC.")
    is_purged = fields.Boolean(
        string="Deleted",
        required=True,
        readonly=True,
        help="Figures of messages that retention has deleted.",
    )
    accepted = _count("Accepted")
    bytes = fields.Float(required=True, default=0, digits=(20, 0))
    done = _count("Done")
    ignored = _count("Ignored")
    parked = _count("Parked")
    unknown = _count("In doubt")
    cancelled = _count("Cancelled")
    reverted = _count("Reverted")
    open = _count("Open", help="Pending, waiting or in processing.")
    shadow = _count("Shadow", help="Run in shadow mode; in no other figure.")
    failed_transient = _count("Tries failed: transient")
    failed_throttled = _count("Tries failed: throttled")
    failed_auth = _count("Tries failed: authentication")
    failed_rejected = _count("Tries failed: rejected")
    failed_contract = _count("Tries failed: contract")
    failed_mapping = _count("Tries failed: mapping")
    failed_conflict = _count("Tries failed: conflict")
    failed_bug = _count("Tries failed: bug")
    failed_unknown = _count("Tries in doubt")
    latency_count = _count("Messages with a latency")
    latency_sum = fields.Float(string="Sum of latencies (s)", required=True, default=0)
    latency_max = fields.Float(
        string="Longest latency (s)", required=True, default=0, aggregator="max"
    )
    latency_average = fields.Float(
        string="Average latency (s)", compute="_compute_latency_average"
    )
    latency_1s = _count("Done within 1 s")
    latency_5s = _count("Done within 5 s")
    latency_30s = _count("Done within 30 s")
    latency_300s = _count("Done within 5 min")
    latency_900s = _count("Done within 15 min")
    latency_3600s = _count("Done within 1 h")

    # roll-up: one row per hour, replaced as a whole
    _hour_unique = models.UniqueIndex("(interface_id, company_id, hour, is_purged)")
    # dashboards: a company's hours
    _company_idx = models.Index("(company_id, hour)")

    @api.depends("latency_sum", "latency_count")
    def _compute_latency_average(self):
        for stat in self:
            stat.latency_average = stat.latency_sum / (stat.latency_count or 1)

    # -- the cron ---------------------------------------------------------------

    @api.model
    def _cron_roll_up(self):
        """Cron: count the hours in which anything has changed since the last run.

        Safe to repeat, to kill and to run twice at once: hours are marked in one
        transaction and counted, a few at a time, in others; a mark leaves with the
        figures that it asked for.
        """
        deadline = time.monotonic() + BUDGET
        try:
            self._collect()
            while self._count_some():
                if time.monotonic() > deadline:
                    _logger.info("the roll-up goes on in its next run")
                    break
        except DATABASE_CONFLICTS:
            _logger.info("the roll-up met another one and leaves the rest to it")

    @api.model
    def _collect(self):
        """Mark the hours of everything that changed its state since the watermark."""
        # The horizon is read before the snapshot that looks for changes: what that
        # snapshot cannot see yet is younger, and found next time.
        with transaction(self.env) as env:
            env.cr.execute(rollup.HORIZON)
            horizon = env.cr.fetchone()[0] or fields.Datetime.now()
        with transaction(self.env) as env:
            since = env["health.interface.stat.mark"]._move(horizon - SKEW)
            env.cr.execute(rollup.COLLECT, {"since": since})

    @api.model
    def _count_some(self, limit=CHUNK):
        """Count a few marked hours in a transaction of their own.

        :return: how many
        """
        with transaction(self.env) as env:
            env.cr.execute(rollup.TAKE, [limit])
            due = env.cr.fetchall()
            if due:
                interfaces, hours = map(list, zip(*due, strict=True))
                values = {"interfaces": interfaces, "hours": hours}
                env.cr.execute(rollup.COUNT, values)
                env.cr.execute(rollup.CLEAR, values)
        return len(due)

    @api.model
    def _set_aside(self, message_ids, messages=True):
        """Keep the figures of messages that this transaction is about to delete.

        :param messages: False when only their attempts leave
        """
        if not messages:
            self.env.cr.execute(rollup.WITH_FAILURES, [message_ids])
            message_ids = [row[0] for row in self.env.cr.fetchall()]
        if message_ids:
            self.env.cr.execute(rollup.MARK, [message_ids])
            statement = rollup.set_aside(messages)
            self.env.cr.execute(statement, {"messages": message_ids})

    # -- what administrators may do ---------------------------------------------

    @api.model
    def _recompute_from(self, moment):
        """Have every hour since ``moment`` counted again by the next run of the cron.

        :param moment: naive UTC
        """
        if not self.env.user.has_group("health_base.group_administrator"):
            raise AccessError(
                self.env._("Only administrators may have hours counted again.")
            )
        self.env["health.interface.stat.mark"]._move_back(moment)
        self.env.ref("health_connector.cron_roll_up").sudo()._trigger()
