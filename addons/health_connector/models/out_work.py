"""What the steps of a delivery share: their unit of work and their statements. Plain
Python, no model."""

from dataclasses import dataclass

from ..lib import states
from ..lib.transport import Outgoing
from .work import Work

_OPEN = states.sql_list(states.OPEN)
_CLAIMABLE = states.sql_list(states.CLAIMABLE)
_NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"

# Heads of order keys only: what leaves about one record leaves in order, each after
# the outcome of the one before is known. Served by health_message_out_idx,
# health_message_doubt_idx and health_message_open_idx.
CLAIM = f"""
WITH due AS (
    (SELECT m.id, m.priority FROM health_message m
      WHERE m.backend_id = %(backend)s AND m.direction = 'out'
        AND m.state IN {_CLAIMABLE} AND m.next_try_at <= {_NOW}
        AND m.interface_id = ANY(%(interfaces)s)
        AND (m.order_key IS NULL OR NOT EXISTS (
             SELECT 1 FROM health_message e
              WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
                AND e.id < m.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL))
      ORDER BY m.priority, m.id LIMIT %(limit)s)
  UNION ALL
    (SELECT m.id, m.priority FROM health_message m
      WHERE m.backend_id = %(backend)s AND m.state = 'unknown'
        AND m.next_try_at <= {_NOW} AND m.interface_id = ANY(%(interfaces)s)
      ORDER BY m.next_try_at LIMIT %(limit)s)
), head AS (
    SELECT m.id FROM health_message m JOIN due ON due.id = m.id
     WHERE m.state IN {states.sql_list((*states.CLAIMABLE, states.UNKNOWN))}
       AND m.next_try_at <= {_NOW}
     ORDER BY due.priority, m.id LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE health_message m
   SET state = 'processing', state_at = {_NOW}, tries = m.tries + 1,
       lease_owner = %(owner)s, lease_until = {_NOW} + %(lease)s * interval '1 second'
  FROM head WHERE m.id = head.id
RETURNING m.id
"""

# what stands behind a message that a person decides on; releasing it brings them back
SET_BACK = f"""
WITH behind AS (
    SELECT m.id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.direction = 'out'
       AND m.state IN {_CLAIMABLE} AND m.next_try_at <= {_NOW}
       AND m.order_key IS NOT NULL
       AND EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.order_key IS NOT NULL
               AND (e.state = 'parked'
                    OR e.state = 'unknown' AND e.next_try_at IS NULL))
     ORDER BY m.priority, m.id LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE health_message m
   SET state = 'waiting', state_at = {_NOW}, next_try_at = %(behind)s
  FROM behind WHERE m.id = behind.id
"""

# served by health_message_lease_idx
ENDED_LEASES = f"""
SELECT id, intent_at IS NOT NULL FROM health_message
 WHERE state = 'processing' AND direction = 'out' AND lease_until < {_NOW}
   AND backend_id = %s
 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""

# served by the three of them
WITH_WORK = f"""
SELECT b.id FROM health_backend b
  LEFT JOIN health_backend_state s ON s.backend_id = b.id
 WHERE b.active AND NOT COALESCE(b.paused_out, false)
   AND COALESCE(s.out_until, {_NOW}) <= {_NOW}
   AND (EXISTS (SELECT 1 FROM health_message m
                 WHERE m.backend_id = b.id AND m.direction = 'out'
                   AND m.state IN {_CLAIMABLE} AND m.next_try_at <= {_NOW})
     OR EXISTS (SELECT 1 FROM health_message m
                 WHERE m.backend_id = b.id AND m.state = 'unknown'
                   AND m.next_try_at <= {_NOW})
     OR EXISTS (SELECT 1 FROM health_message m
                 WHERE m.backend_id = b.id AND m.state = 'processing'
                   AND m.direction = 'out' AND m.lease_until < {_NOW}))
 ORDER BY b.id
"""

PROMISE = f"""
UPDATE health_backend_state
   SET out_until = {_NOW} + %s * interval '1 second'
 WHERE backend_id = %s
"""

# The call is committed to: from here on it may arrive. The lease of those that still
# wait for their turn is renewed along with it.
INTENT = f"""
UPDATE health_message
   SET lease_until = {_NOW} + %(lease)s * interval '1 second',
       intent_at = CASE WHEN id = %(id)s THEN {_NOW} ELSE intent_at END
 WHERE id = ANY(%(held)s) AND state = 'processing' AND lease_owner = %(owner)s
RETURNING id
"""

_HOLD = """
SELECT id, uid, interface_id, tries, conflict_id, external_ref, exception_id,
       accepted_at, order_key, res_model, res_id, message_type, intent_at IS NOT NULL
  FROM health_message
 WHERE id = ANY(%s) AND state = 'processing' AND lease_owner = %s
 ORDER BY priority, id FOR UPDATE
"""


@dataclass(slots=True)
class OutWork(Work):
    """One claimed message on its way out."""

    res_model: str | None = None
    res_id: int | None = None
    message_type: str | None = None
    #: an earlier call may have arrived
    in_doubt: bool = False
    #: there is nothing to send any more; the reason
    moot: str = ""
    outgoing: Outgoing | None = None
    #: never sent before
    is_new: bool = True


def hold_out(env, ids, owner) -> list[OutWork]:
    """Lock the messages that ``owner`` still holds the lease of."""
    env.cr.execute(_HOLD, [list(ids), owner])
    works = []
    for row in env.cr.fetchall():
        interface = env["health.interface"].browse(row[2])
        work = OutWork(row[0], row[1], interface, *row[3:9])
        work.res_model, work.res_id, work.message_type, work.in_doubt = row[9:]
        works.append(work)
    return works
