"""The statements that find messages and move them at once: the claim, and what lets
messages wait behind a parked one and releases them. Functions over a cursor.

Beside ``health.message._transition`` these alone change a state; each does so under
the row's lock, and from the states it names to one that the table of
``lib/states.py`` allows (:data:`MOVES`, tested).
"""

from __future__ import annotations

from collections.abc import Iterable

from . import states
from .accept import Cursor

#: messages claimed at once; those that an urgent one pulls forward come on top
BATCH = 200
#: seconds after which a claimed message may be claimed by another worker
LEASE = 30

_OPEN = states.sql_list(states.OPEN)
_CLAIMABLE = states.sql_list(states.CLAIMABLE)
_BLOCKING = states.sql_list(states.BLOCKING)
_STUCK = states.sql_list(states.STUCK)
NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"

#: what the statements below move: (from, to); what waits already may go on waiting
MOVES = (
    (states.CLAIMABLE, states.PROCESSING),
    ((states.PENDING,), states.WAITING),
    ((states.WAITING,), states.PENDING),
)

# Candidates are due and have no earlier message of their order key that is at work,
# waits or needs a person (health_message_claim_idx, health_message_blocking_idx), or
# is of an interface this drain does not work for: such would only fill the batch. One
# that stands behind messages of less urgency pulls them forward, the earliest first.
# Of all these a run of one key is taken whole, as long as it is of one interface: each
# must have all its open predecessors in the batch (health_message_open_idx).
_CLAIM = f"""
WITH candidate AS MATERIALIZED (
    SELECT m.id, m.order_key, m.interface_id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.state IN {_CLAIMABLE}
       AND m.direction = 'in' AND m.next_try_at <= {NOW}
       AND m.interface_id = ANY(%(interfaces)s::int[])
       AND (m.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_BLOCKING} AND e.order_key IS NOT NULL
               AND NOT (e.state = 'waiting' AND e.next_try_at <= {NOW})))
       AND (m.order_key IS NULL OR %(closed)s::int[] = '{{}}' OR NOT EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL
               AND e.interface_id = ANY(%(closed)s::int[])))
     ORDER BY m.priority, m.id
     LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
), behind AS MATERIALIZED (
    SELECT c.order_key, max(c.id) AS id FROM candidate c
     WHERE c.order_key IS NOT NULL AND EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = %(backend)s AND e.order_key = c.order_key
               AND e.id < c.id AND e.state IN {_CLAIMABLE} AND e.order_key IS NOT NULL
               AND e.id NOT IN (SELECT id FROM candidate)
            OFFSET 0)
     GROUP BY c.order_key
), line AS MATERIALIZED (
    SELECT each.id FROM behind b CROSS JOIN LATERAL (
            SELECT e.id FROM health_message e
             WHERE e.backend_id = %(backend)s AND e.order_key = b.order_key
               AND e.id < b.id AND e.state IN {_CLAIMABLE} AND e.order_key IS NOT NULL
               AND e.id NOT IN (SELECT id FROM candidate)
            OFFSET 0) each
     ORDER BY each.id
     LIMIT %(limit)s
), pulled AS MATERIALIZED (
    SELECT e.id, e.order_key, e.interface_id FROM health_message e
     WHERE e.id = ANY(ARRAY(SELECT id FROM line)) AND e.state || '' IN {_CLAIMABLE}
       AND e.direction = 'in' AND e.next_try_at <= {NOW}
       AND e.interface_id + 0 = ANY(%(interfaces)s::int[])
       FOR UPDATE OF e SKIP LOCKED
), wanted AS MATERIALIZED (
    SELECT * FROM candidate UNION ALL SELECT * FROM pulled
), claimed AS (
    SELECT c.id FROM wanted c
     WHERE c.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM health_message e
         LEFT JOIN wanted o ON o.id = e.id
             WHERE e.backend_id = %(backend)s AND e.order_key = c.order_key
               AND e.id < c.id AND e.state IN {_OPEN} AND e.order_key IS NOT NULL
               AND o.interface_id IS DISTINCT FROM c.interface_id)
)
UPDATE health_message m
   SET state = 'processing', state_at = {NOW}, tries = m.tries + 1,
       lease_owner = %(owner)s, lease_until = {NOW} + %(lease)s * interval '1 second'
  FROM claimed WHERE m.id = claimed.id
RETURNING m.id
"""

# The tables' statistics lag behind a burst, and a plan that reads the whole backlog
# for each batch would follow, or for each message of it. These statements are meant to
# walk the indexes: OFFSET 0 keeps a question about one key from becoming a join, and
# an expression for a column keeps an index of many rows from standing in for the ids.
_WALK_INDEXES = """
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL enable_seqscan = off
"""

# served by the same: what may not be claimed until a person has decided
_SET_BACK = f"""
WITH behind AS (
    SELECT m.id FROM health_message m
     WHERE m.backend_id = %(backend)s AND m.state IN {_CLAIMABLE}
       AND m.direction = 'in'
       AND m.next_try_at <= {NOW} AND m.order_key IS NOT NULL
       AND EXISTS (
            SELECT 1 FROM health_message e
             WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
               AND e.id < m.id AND e.state IN {_STUCK} AND e.order_key IS NOT NULL
            OFFSET 0)
     ORDER BY m.priority, m.id
     LIMIT %(limit)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE health_message m
   SET state = 'waiting', state_at = {NOW}, next_try_at = %(behind)s
  FROM behind WHERE m.id = behind.id
"""

# a release that missed a message set back at the same moment is made up for
RELEASE_FREE = f"""
UPDATE health_message m
   SET state = 'pending', state_at = {NOW}, next_try_at = {NOW}
 WHERE m.state = 'waiting' AND m.next_try_at = %s
   AND NOT EXISTS (
        SELECT 1 FROM health_message e
         WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
           AND e.id < m.id AND e.state IN {_STUCK} AND e.order_key IS NOT NULL
        OFFSET 0)
"""

#: what stood behind messages that are stuck no more may go on, after them
RELEASE_BEHIND = f"""
UPDATE health_message m
   SET state = 'pending', state_at = {NOW}, next_try_at = {NOW}
  FROM health_message h
 WHERE h.id = ANY(%s) AND m.backend_id = h.backend_id
   AND m.order_key = h.order_key AND m.id > h.id
   AND m.state = 'waiting' AND m.next_try_at = %s
"""

# served by health_message_lease_idx; one that is being applied is locked
_ENDED_LEASES = f"""
SELECT id FROM health_message
 WHERE state = 'processing' AND direction = 'in' AND lease_until < {NOW}
   AND backend_id = %s
 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""

_RENEW = f"""
UPDATE health_message
   SET tries = tries + %s, lease_until = {NOW} + %s * interval '1 second'
 WHERE id = ANY(%s) AND state = 'processing' AND lease_owner = %s
RETURNING id
"""

#: messages over which a worker died before, and all others of their order keys
_SUSPECTS = """
SELECT id FROM health_message
 WHERE id = ANY(%(ids)s) AND (error_code = %(code)s OR order_key IN (
        SELECT order_key FROM health_message
         WHERE id = ANY(%(ids)s) AND error_code = %(code)s))
 ORDER BY id
"""
LEASE_ENDED = "drain.lease_ended"


def claim(
    cr: Cursor,
    backend_id: int,
    live: list[int],
    closed: list[int],
    owner: str,
    limit: int = BATCH,
) -> list[int]:
    """Claim runs of order keys, the most urgent first; the try is counted. Call it at
    the start of a transaction and commit it.

    :param live: ids of the interfaces to work for
    :param closed: ids of the backend's other interfaces: they hold their keys back
    :return: ids in order; up to twice ``limit`` where urgent ones pulled others along
    """
    cr.execute(_WALK_INDEXES)
    cr.execute(
        _CLAIM,
        {
            "backend": backend_id,
            "interfaces": live,
            "closed": closed,
            "limit": limit,
            "owner": owner,
            "lease": LEASE,
        },
    )
    return sorted(row[0] for row in cr.fetchall())


def set_back(cr: Cursor, backend_id: int) -> None:
    """Take messages behind a parked one out of the way of the claim, so that a long
    line behind it costs nothing. Releasing the head brings them back."""
    limit = 5 * BATCH
    values = {"backend": backend_id, "limit": limit, "behind": states.BEHIND}
    cr.execute(_SET_BACK, values)


def ended_leases(cr: Cursor, backend_id: int) -> list[int]:
    """Lock messages over which a worker died. One that is at work longer than its
    lease is not among them: while it is applied, its row is locked."""
    cr.execute(_ENDED_LEASES, [backend_id, BATCH])
    return [row[0] for row in cr.fetchall()]


def renew(cr: Cursor, ids: Iterable[int], owner: str, tries: int = 0) -> set[int]:
    """Hold on to messages that wait for their turn.

    :param tries: added to what was counted: -1 for a try that has not begun yet
    :return: those that ``owner`` still holds; another one's are left alone
    """
    cr.execute(_RENEW, [tries, LEASE, list(ids), owner])
    return {row[0] for row in cr.fetchall()}


def suspects(cr: Cursor, ids: Iterable[int]) -> list[int]:
    """Those that one of them may have ended a worker before: apply them one by one,
    so that it does so once more at most to itself."""
    cr.execute(_SUSPECTS, {"ids": list(ids), "code": LEASE_ENDED})
    return [row[0] for row in cr.fetchall()]


def order_keys(cr: Cursor, ids: Iterable[int]) -> dict[int, str | None]:
    """The order key of each message."""
    cr.execute(
        "SELECT id, order_key FROM health_message WHERE id = ANY(%s)", [list(ids)]
    )
    return dict(cr.fetchall())
