"""The hourly roll-up in SQL: what is counted, and how hours are counted again.

Figures are never added up as messages pass. A touched hour is counted anew from its
messages and replaces what was there, so that a crash, a second run or a concurrent one
changes nothing. Only what retention deletes is moved aside, by the transaction that
deletes it, into a second row of the same hour (``is_purged``); all figures are sums (or
a maximum) over both rows.
"""

from __future__ import annotations

from .errors import ERROR_CLASSES
from .states import sql_list

#: columns of one state each; ``open`` is what the drain still works on
_BY_STATE = {
    "done": ("done",),
    "ignored": ("ignored",),
    "parked": ("parked",),
    "unknown": ("unknown",),
    "cancelled": ("cancelled",),
    "reverted": ("reverted",),
    "open": ("pending", "waiting", "processing"),
}
#: upper ends of the latency histogram in seconds; each column counts up to its end
LATENCY_SECONDS = (1, 5, 30, 300, 900, 3600)
#: outcomes of tries that failed, or may have; attempts also note what people did
FAILURES = (*ERROR_CLASSES, "unknown")
LATENCY_COLUMNS = tuple(f"latency_{seconds}s" for seconds in LATENCY_SECONDS)

_LATENCY = "EXTRACT(epoch FROM m.state_at - m.accepted_at)"
_LIVE = "m.is_shadow IS NOT TRUE"
_DONE = f"m.state = 'done' AND {_LIVE}"


def _message_figures() -> dict[str, str]:
    """Column -> aggregate over messages ``m``."""
    figures = {
        "accepted": f"count(*) FILTER (WHERE {_LIVE})",
        "bytes": f"COALESCE(sum(m.size) FILTER (WHERE {_LIVE}), 0)",
        "shadow": "count(*) FILTER (WHERE m.is_shadow)",
        "latency_count": f"count(*) FILTER (WHERE {_DONE})",
        "latency_sum": f"COALESCE(sum({_LATENCY}) FILTER (WHERE {_DONE}), 0)",
        "latency_max": f"COALESCE(max({_LATENCY}) FILTER (WHERE {_DONE}), 0)",
    }
    for column, states in _BY_STATE.items():
        condition = f"{_LIVE} AND m.state IN {sql_list(states)}"
        figures[column] = f"count(*) FILTER (WHERE {condition})"
    for column, seconds in zip(LATENCY_COLUMNS, LATENCY_SECONDS, strict=True):
        figures[column] = f"count(*) FILTER (WHERE {_DONE} AND {_LATENCY} <= {seconds})"
    return figures


def _attempt_figures() -> dict[str, str]:
    """Column -> aggregate over attempts ``a``."""
    return {
        f"failed_{name}": f"count(*) FILTER (WHERE a.outcome = '{name}')"
        for name in FAILURES
    }


_MESSAGE_FIGURES = _message_figures()
_ATTEMPT_FIGURES = _attempt_figures()
COLUMNS = (*_MESSAGE_FIGURES, *_ATTEMPT_FIGURES)
_HOUR = "date_trunc('hour', m.accepted_at)"
_KEY = "interface_id, company_id, hour, is_purged"


def _select(figures: dict[str, str]) -> str:
    return ", ".join(
        f"{aggregate} AS {column}" for column, aggregate in figures.items()
    )


def _counted(source: str, messages: bool = True) -> str:
    """CTEs ending in ``counted``: one row per interface, company and hour.

    :param source: FROM and WHERE that bring the messages as ``m``
    :param messages: False counts their failed tries only
    """
    figures = _MESSAGE_FIGURES if messages else dict.fromkeys(_MESSAGE_FIGURES, "0")
    failed = ", ".join(f"COALESCE(f.{name}, 0) AS {name}" for name in _ATTEMPT_FIGURES)
    return f"""message AS (
        SELECT m.* {source}
    ), failed AS (
        SELECT m.interface_id, m.company_id, {_HOUR} AS hour,
               {_select(_ATTEMPT_FIGURES)}
          FROM message m JOIN health_attempt a ON a.message_id = m.id
         WHERE {_LIVE} AND a.outcome IN {sql_list(FAILURES)}
      GROUP BY 1, 2, 3
    ), sums AS (
        SELECT m.interface_id, m.company_id, {_HOUR} AS hour,
               max(m.backend_id) AS backend_id, min(m.direction) AS direction,
               {_select(figures)}
          FROM message m GROUP BY 1, 2, 3
    ), counted AS (
        SELECT s.*, {failed}
          FROM sums s LEFT JOIN failed f USING (interface_id, company_id, hour)
    )"""


def _insert(is_purged: bool) -> str:
    columns = ", ".join(COLUMNS)
    return f"""INSERT INTO health_interface_stat AS t (
        interface_id, company_id, hour, backend_id, direction, is_purged, {columns})
    SELECT interface_id, company_id, hour, backend_id, direction, {is_purged}, {columns}
      FROM counted
    ORDER BY interface_id, company_id, hour
    ON CONFLICT ({_KEY}) DO UPDATE SET """


def _taken_over() -> str:
    sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS)
    ours = ", ".join(f"t.{name}" for name in COLUMNS)
    theirs = ", ".join(f"EXCLUDED.{name}" for name in COLUMNS)
    # a row that would not change is not written
    return f"{sets} WHERE ({ours}) IS DISTINCT FROM ({theirs})"


def _added() -> str:
    return ", ".join(
        f"{name} = GREATEST(t.{name}, EXCLUDED.{name})"
        if name == "latency_max"
        else f"{name} = t.{name} + EXCLUDED.{name}"
        for name in COLUMNS
    )


def _subtracted() -> str:
    return ", ".join(
        f"{name} = t.{name} - c.{name}" for name in COLUMNS if name != "latency_max"
    )


# A transaction that is still open may commit rows that carry its start as their time.
HORIZON = """
SELECT min(xact_start) AT TIME ZONE 'UTC' FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend'
   AND xact_start IS NOT NULL
"""

# served by health_message_state_at_idx: every move, and accepting, sets state_at
COLLECT = f"""
INSERT INTO health_interface_stat_due (interface_id, hour)
SELECT DISTINCT m.interface_id, {_HOUR} FROM health_message m
 WHERE %(since)s IS NULL OR m.state_at >= %(since)s
 ORDER BY 1, 2
ON CONFLICT (interface_id, hour) DO UPDATE SET interface_id = EXCLUDED.interface_id
"""

# A conflicting mark is written again, not left alone: whoever is just taking it then
# waits or fails, and cannot drop it without having seen the change it stands for.
MARK = f"""
INSERT INTO health_interface_stat_due (interface_id, hour)
SELECT DISTINCT m.interface_id, {_HOUR} FROM health_message m WHERE m.id = ANY(%s)
 ORDER BY 1, 2
ON CONFLICT (interface_id, hour) DO UPDATE SET interface_id = EXCLUDED.interface_id
"""

# newest first: that is what people look at
TAKE = """
DELETE FROM health_interface_stat_due WHERE id IN (
    SELECT id FROM health_interface_stat_due
     ORDER BY hour DESC, interface_id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING interface_id, hour
"""

_DUE = "unnest(%(interfaces)s::int[], %(hours)s::timestamp[]) AS d (interface_id, hour)"

# served by health_message_accepted_idx, an hour at a time
COUNT = f"""
WITH {
    _counted(
        f'''FROM (SELECT DISTINCT hour FROM {_DUE}) h
         JOIN health_message m
           ON m.accepted_at >= h.hour AND m.accepted_at < h.hour + interval '1 hour'
         JOIN {_DUE} ON d.interface_id = m.interface_id AND d.hour = h.hour'''
    )
}
{_insert(False)}{_taken_over()}
"""

# an hour whose last message has left counts nothing any more
CLEAR = f"""
DELETE FROM health_interface_stat s USING {_DUE}
 WHERE s.interface_id = d.interface_id AND s.hour = d.hour AND NOT s.is_purged
   AND NOT EXISTS (
        SELECT 1 FROM health_message m
         WHERE m.interface_id = d.interface_id AND m.company_id = s.company_id
           AND m.accepted_at >= d.hour AND m.accepted_at < d.hour + interval '1 hour')
"""


def set_aside(messages: bool) -> str:
    """A statement for retention, to be run before it deletes in the same transaction:
    the figures of what leaves move from the counted row to the kept one.

    :param messages: whether the messages leave, or only their attempts
    """
    source = "FROM health_message m WHERE m.id = ANY(%(messages)s)"
    return f"""WITH {_counted(source, messages)}, kept AS (
            {_insert(True)}{_added()}
        )
        UPDATE health_interface_stat t SET {_subtracted()} FROM counted c
         WHERE t.interface_id = c.interface_id AND t.company_id = c.company_id
           AND t.hour = c.hour AND NOT t.is_purged"""


# served by health_attempt_failed_idx
WITH_FAILURES = f"""
SELECT DISTINCT message_id FROM health_attempt
 WHERE message_id = ANY(%s) AND outcome IN {sql_list(FAILURES)}
"""
