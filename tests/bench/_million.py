"""A database with a history: a million stored messages, written by SQL in a few
statements, with payloads, attempts and exceptions as traffic would have left them.

    flows = make_interfaces(4)      # or your own: (interface, backend, company)
    fill(flows, MILLION)

Of every thousand, two are parked under an exception, twenty are ignored, one is
cancelled and the rest is done. Nothing is left for the drain. Sealed bytes are random:
they have the right size, and no key opens them.
"""

from __future__ import annotations

import time
import uuid

from _bench import SMOKE, connect, odoo_shell, say

MILLION = 4_000 if SMOKE else 1_000_000
CHUNK = 100_000
DAYS = 90
SEALED_BYTES = 700

# spread over 90 days up to an hour ago, in the order of their ids
_MESSAGES = """
INSERT INTO health_message (
    uid, interface_id, backend_id, company_id, direction, message_type, external_ref,
    dedupe_key, order_key, content_hash, size, priority, accepted_at, state, state_at,
    tries, next_try_at, error_class, error_code, exception_id, reason)
SELECT md5('u' || %(run)s || i), f.interface_id, f.backend_id, f.company_id, 'in',
       'ORU^R01', 'REF-' || i, md5('d' || %(run)s || i),
       md5('o' || %(run)s || i / 5), md5('c' || i), %(size)s, 5, at,
       CASE kind WHEN 0 THEN 'parked' WHEN 1 THEN 'parked' WHEN 2 THEN 'cancelled'
                 ELSE CASE WHEN kind < 23 THEN 'ignored' ELSE 'done' END END,
       at + interval '400 ms', 1, at,
       CASE WHEN kind < 2 THEN 'mapping' END,
       CASE WHEN kind < 2 THEN 'bench.unknown' END,
       CASE WHEN kind < 2 THEN f.exception_ids[1 + i %% cardinality(f.exception_ids)]
       END,
       CASE WHEN kind BETWEEN 2 AND 22 THEN 'bench' END
  FROM (SELECT i, i %% 1000 AS kind, 1 + (i + i / 1000) %% %(flows)s AS flow,
               now() AT TIME ZONE 'UTC' - interval '1 hour'
               - (1 - i::float / %(count)s) * %(days)s * interval '1 day' AS at
          FROM generate_series(%(first)s::int, %(last)s::int) AS i) AS g
  JOIN bench_flow f ON f.number = g.flow
 ORDER BY i
"""

_PAYLOADS = """
INSERT INTO health_payload (message_id, stage, key_id, sealed, size, content_type)
SELECT m.id, s.stage, 'bench', (SELECT bytes FROM bench_bytes), %(size)s, 'x'
  FROM health_message m, (VALUES ('raw'), ('canonical')) AS s (stage)
 WHERE m.id > %(after)s AND (s.stage = 'raw' OR m.state = 'done')
 ORDER BY m.id
"""

_ATTEMPTS = """
INSERT INTO health_attempt (
    message_id, number, step, started_at, duration_ms, outcome, code)
SELECT id, 1, 'apply', state_at, 3,
       CASE WHEN state IN ('parked', 'cancelled') THEN 'mapping' ELSE state END,
       error_code
  FROM health_message WHERE id > %(after)s ORDER BY id
"""

_EXCEPTION = """
INSERT INTO health_exception (
    company_id, backend_id, interface_id, fingerprint, code, error_class, params,
    subject, state, first_at, last_at, due_at)
SELECT %(company)s, %(backend)s, %(interface)s, md5(random()::text), 'bench.unknown',
       'mapping', '{}', '{}', 'open', now() AT TIME ZONE 'UTC',
       now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
  FROM generate_series(1, %(count)s)
RETURNING id
"""


def make_interfaces(count: int) -> list[tuple[int, int, int]]:
    """Live interfaces, each on a backend in a company of its own, the first in the
    main company. The backends are paused: nothing of this is to be drained.

    :return: (interface id, backend id, company id)
    """
    run = uuid.uuid4().hex[:8]
    script = f"""
for number in range({count}):
    company = env.company if not number else env["res.company"].create(
        {{"name": f"Bench {run} {{number}}"}})
    backend = env["health.backend"].create(
        {{"name": f"Bench {run} {{number}}", "code": f"bench-{run}-{{number}}",
          "company_id": company.id, "paused_in": True, "pause_reason": "benchmark"}})
    interface = env["health.interface"].create(
        {{"name": f"Bench {{number}}", "code": f"bench-{run}-{{number}}",
          "backend_id": backend.id, "codec": "json", "handler": "core.keep",
          "state": "live"}})
    print("FLOW", interface.id, backend.id, company.id)
env.cr.commit()
"""
    lines = odoo_shell(script).splitlines()
    return [tuple(map(int, line.split()[-3:])) for line in lines if "FLOW " in line]


def fill(flows: list[tuple[int, int, int]], count: int = MILLION) -> None:
    """Store ``count`` messages, spread evenly over ``flows``, and vacuum the tables.

    :param flows: (interface id, backend id, company id)
    """
    started = time.perf_counter()
    # not by "with": that would be one transaction
    connection = connect()
    try:
        _fill(connection.cursor(), flows, count)
    finally:
        connection.close()
    say(f"  {count} messages stored in {time.perf_counter() - started:.0f} s")


def _fill(cursor, flows, count) -> None:
    _prepare(cursor, flows)
    values = {
        "run": uuid.uuid4().hex,
        "size": SEALED_BYTES,
        "flows": len(flows),
        "count": count,
        "days": DAYS,
    }
    for first in range(0, count, CHUNK):
        cursor.execute("SELECT COALESCE(max(id), 0) FROM health_message")
        values["after"] = cursor.fetchone()[0]
        values |= {"first": first, "last": min(first + CHUNK, count) - 1}
        for statement in (_MESSAGES, _PAYLOADS, _ATTEMPTS):
            cursor.execute(statement, values)
    for table in ("health_message", "health_payload", "health_attempt"):
        cursor.execute(f"VACUUM ANALYZE {table}")


def _prepare(cursor, flows) -> None:
    """What the statements join: the flows with their exceptions, and bytes."""
    cursor.execute(
        """CREATE TEMPORARY TABLE bench_flow (
               number int, interface_id int, backend_id int, company_id int,
               exception_ids int[])"""
    )
    for number, (interface, backend, company) in enumerate(flows, 1):
        values = {"interface": interface, "backend": backend, "company": company}
        cursor.execute(_EXCEPTION, {**values, "count": 50})
        exceptions = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "INSERT INTO bench_flow VALUES (%s, %s, %s, %s, %s)",
            [number, interface, backend, company, exceptions],
        )
    cursor.execute(
        """CREATE TEMPORARY TABLE bench_bytes AS
           SELECT decode(string_agg(md5(random()::text), ''), 'hex') AS bytes
             FROM generate_series(1, %s)""",
        [SEALED_BYTES // 16],
    )
