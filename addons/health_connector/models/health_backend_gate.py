"""What calls to a backend left behind: its breaker, its rate, who is calling."""

import json

from odoo import api, fields, models

from ..lib.breaker import Breaker
from ..lib.gate import Gate
from ..lib.limiter import Bucket

BREAKER_STATES = [("closed", "Closed"), ("open", "Open"), ("half_open", "Half open")]
CAUSES = [
    ("failures", "Failures in a row"),
    ("slow", "Slow calls in a row"),
    ("auth", "Credentials refused"),
    ("probe", "The probe failed"),
    ("pause_over", "The pause is over: one probe"),
    ("answered", "The probe was answered"),
    ("unused", "The probe made no call"),
    ("person", "Decided by a person"),
    ("ended", "The end time was reached"),
]

_LOCK = """
SELECT breaker, failures, slow, openings, until, tokens, tokens_at, calls, told_until,
       clock_timestamp() AT TIME ZONE 'UTC'
  FROM health_backend_gate WHERE backend_id = %s FOR UPDATE
"""
_ENSURE = """
INSERT INTO health_backend_gate (backend_id, breaker) VALUES (%s, 'closed')
ON CONFLICT (backend_id) DO NOTHING
"""
_STORE = """
UPDATE health_backend_gate
   SET breaker = %s, failures = %s, slow = %s, openings = %s, until = %s, tokens = %s,
       tokens_at = %s, calls = %s, told_until = %s
 WHERE backend_id = %s
"""
_CHANGED = """
UPDATE health_backend_gate SET since = %s, cause = %s WHERE backend_id = %s
"""


class HealthBackendGate(models.Model):
    """One small row per backend, apart from ``health.backend.state``: a drain's promise
    and a call's outcome do not wait for each other.

    Locked and changed in short transactions of its own (``health_gate.py``).
    """

    _name = "health.backend.gate"
    _description = "Backend gate"
    _log_access = False
    _rec_name = "backend_id"

    backend_id = fields.Many2one("health.backend", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="backend_id.company_id")
    breaker = fields.Selection(BREAKER_STATES, required=True, default="closed")
    since = fields.Datetime(help="In this state since.")
    cause = fields.Selection(CAUSES)
    failures = fields.Integer(help="In a row.")
    slow = fields.Integer(string="Slow calls", help="In a row.")
    openings = fields.Integer(help="Without a call that was answered in between.")
    until = fields.Datetime(help="Open: next probe. Half open: end of the probe.")
    tokens = fields.Float()
    tokens_at = fields.Float(help="Seconds since 1970.")
    calls = fields.Json(help="Callers at work, with the end of their lease.")
    told_until = fields.Datetime(help="The partner asked not to be called before.")

    _backend_unique = models.UniqueIndex("(backend_id)")

    @api.model
    def _lock(self, backend):
        """The gate as a value, its row locked until the end of the transaction.

        :return: ``lib.gate.Gate`` and the database's time, the clock of all nodes
        """
        cr = self.env.cr
        cr.execute(_LOCK, [backend.id], log_exceptions=False)
        row = cr.fetchone()
        if row is None:
            cr.execute(_ENSURE, [backend.id])
            cr.execute(_LOCK, [backend.id], log_exceptions=False)
            row = cr.fetchone()
        state, failures, slow, openings, until, tokens, at, calls, told, now = row
        breaker = Breaker(state, failures or 0, slow or 0, openings or 0, until)
        bucket = None if at is None else Bucket(tokens, at)
        return Gate(breaker, bucket, calls or {}, told), now

    @api.model
    def _store(self, backend, gate):
        """Write a gate back; the caller holds the lock."""
        breaker, bucket = gate.breaker, gate.bucket
        self.env.cr.execute(
            _STORE,
            [
                breaker.state,
                breaker.failures,
                breaker.slow,
                breaker.openings,
                breaker.until,
                bucket and bucket.tokens,
                bucket and bucket.at,
                json.dumps(dict(gate.calls)),
                gate.told_until,
                backend.id,
            ],
        )

    @api.model
    def _changed(self, backend, before, after, cause, now, reason=None, user=None):
        """Note a move of the breaker, and leave its row of evidence."""
        if before == after:
            return
        self.env.cr.execute(_CHANGED, [now, cause, backend.id])
        self.env["health.backend.event"]._append(
            backend, "breaker", before, after, cause, reason, user
        )
