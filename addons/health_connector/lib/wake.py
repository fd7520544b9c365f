"""Waking the drain, from any process, with SQL only.

A running drain publishes a promise: "I go on looking for work of this backend
until …". While the promise outlasts :data:`TRUST` nobody needs to wake anything,
and a process may even skip asking for :data:`THROTTLE` seconds, because the drain
looks once more after its promise has ended. Without a promise the dispatch cron
is triggered; the cron also sweeps every minute what a lost wake-up left.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from .accept import Cursor
from .states import CLAIMABLE, sql_list

#: seconds a process may rely on its last answer without asking again
THROTTLE = 0.4
#: seconds a promise must still last to be relied on; more than THROTTLE
TRUST = 0.6
#: seconds after which something due that nobody takes is overdue
PATIENCE = 2.0

_UNPROMISED = """
SELECT b.id FROM health_backend b
 WHERE b.id = ANY(%s) AND b.active AND NOT COALESCE(b.{paused}, false)
   AND NOT EXISTS (
    SELECT 1 FROM health_backend_state s
     WHERE s.backend_id = b.id
       AND s.{promise} > (clock_timestamp() + %s * interval '1 second')
                         AT TIME ZONE 'UTC')
"""

IN, OUT = "in", "out"
_ASK = {
    IN: _UNPROMISED.format(paused="paused_in", promise="drain_until"),
    OUT: _UNPROMISED.format(paused="paused_out", promise="out_until"),
}

# Due for a while, or held by a worker that died, and nobody has promised to look.
# Served by health_message_claim_idx and health_message_lease_idx.
_OVERDUE = """
SELECT b.id FROM health_backend b
  LEFT JOIN health_backend_state s ON s.backend_id = b.id
 WHERE b.active AND NOT COALESCE(b.{paused}, false)
   AND COALESCE(s.{promise}, '-infinity') < clock_timestamp() AT TIME ZONE 'UTC'
   AND EXISTS (
    SELECT 1 FROM health_message m JOIN health_interface i ON i.id = m.interface_id
     WHERE m.backend_id = b.id AND m.direction = %(direction)s AND i.state = 'live'
       AND (m.state IN {claimable} AND m.next_try_at <= %(since)s
         OR m.state = 'processing' AND m.lease_until < %(since)s))
"""
_LOOK = {
    IN: ("paused_in", "drain_until"),
    OUT: ("paused_out", "out_until"),
}

# Always a new trigger: one that is there may belong to a run of the cron that has
# looked already. Whole seconds, as Odoo's own: the run clears up to the second.
_TRIGGER = """
INSERT INTO ir_cron_trigger (cron_id, call_at, create_date, write_date)
SELECT d.res_id, t.at, t.at, t.at
  FROM ir_model_data d,
       (SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS at) t
 WHERE d.module = 'health_connector' AND d.name = 'cron_dispatch'
RETURNING id
"""

#: channel on which Odoo's cron workers listen, in the database ``postgres``
CRON_CHANNEL = "cron_trigger"


def wake(cr: Cursor, backend_ids: Iterable[int], direction: str = IN) -> bool:
    """Ask for a drain of these backends; call it after the accepting commit.

    :param direction: which of a backend's two drains: each has its own promise

    The caller commits, and if the answer is True notifies :data:`CRON_CHANNEL` with
    the database's name on a connection to ``postgres`` (a missed notification costs
    latency only: the cron worker looks every minute by itself).
    """
    cr.execute(_ASK[direction], [sorted(set(backend_ids)), TRUST])
    if not cr.fetchall():
        return False
    cr.execute(_TRIGGER)
    return bool(cr.fetchall())


def overdue(cr: Cursor) -> list[tuple[str, int]]:
    """Drains that ought to work and do not: the wake-up was lost, a worker died, or a
    time has come that nobody waited for (Odoo's cron looks once a minute by itself).

    :return: (direction, backend id), for :func:`wake`
    """
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    found = []
    for direction, (paused, promise) in _LOOK.items():
        query = _OVERDUE.format(
            paused=paused, promise=promise, claimable=sql_list(CLAIMABLE)
        )
        since = now - timedelta(seconds=PATIENCE)
        cr.execute(query, {"direction": direction, "since": since})
        found += [(direction, row[0]) for row in cr.fetchall()]
    return found


class Throttle:
    """Says whether a backend must be asked about again; one per process.

    Only a promise may be relied on without asking. Whoever finds none wakes the drain
    and calls :meth:`forget`: a drain that is woken may have ended before the next
    message comes.
    """

    def __init__(self, seconds: float = THROTTLE, clock=time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._asked: dict[object, float] = {}

    def due(self, keys: Iterable[object]) -> list:
        """The keys not asked about within the last seconds; notes them as asked."""
        now = self._clock()
        asked = self._asked
        due = [
            key
            for key in dict.fromkeys(keys)
            if now - asked.get(key, -self._seconds) >= self._seconds
        ]
        asked.update((key, now) for key in due)
        return due

    def forget(self, keys: Iterable[object]) -> None:
        """There was no promise to rely on: the next one asks again."""
        for key in keys:
            self._asked.pop(key, None)
