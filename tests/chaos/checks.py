"""What must hold after a kill test, whatever was killed. Each check returns the
violations it found, in words; none is what is hoped for."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable

from chaos.ledger import Entries
from chaos.plan import BEHIND, DONE, IGNORED, PARKED, Unit
from health_connector.lib.keyring import Keyring
from live import database, odoo_shell, query

#: Every effect on an ordered test and every ``done`` attempt, with the transaction
#: that wrote it. What was rolled back has left no row here either.
_JOURNAL = """
CREATE TABLE IF NOT EXISTS chaos_journal (
    id bigserial, kind varchar, message_id int, order_id int, status varchar,
    xact xid8 DEFAULT pg_current_xact_id());
CREATE OR REPLACE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'health_attempt' THEN
        INSERT INTO chaos_journal (kind, message_id)
        VALUES (NEW.outcome, NEW.message_id);
    ELSE
        INSERT INTO chaos_journal (kind, message_id, order_id, status)
        VALUES ('effect', NEW.result_message_id, NEW.order_id, NEW.result_status);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER chaos_effect
 AFTER UPDATE OF result_message_id, result_status, result_at ON health_lab_order_line
   FOR EACH ROW EXECUTE FUNCTION chaos_note();
CREATE OR REPLACE TRIGGER chaos_attempt
 AFTER INSERT ON health_attempt FOR EACH ROW
  WHEN (NEW.outcome IN ('done', 'ignored')) EXECUTE FUNCTION chaos_note();
"""
_NO_JOURNAL = """
DROP TRIGGER IF EXISTS chaos_effect ON health_lab_order_line;
DROP TRIGGER IF EXISTS chaos_attempt ON health_attempt;
DROP FUNCTION IF EXISTS chaos_note;
DROP TABLE IF EXISTS chaos_journal;
"""


def keep_journal(keep: bool = True) -> None:
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(_JOURNAL if keep else _NO_JOURNAL)


def rolled_up() -> Counter:
    """What the statistics say of the flow, counted now."""
    odoo_shell("env['health.interface.stat']._cron_roll_up()")
    [row] = query(
        """SELECT sum(accepted), sum(done), sum(ignored), sum(parked), sum(open)
             FROM health_interface_stat s JOIN health_interface i
               ON i.id = s.interface_id
            WHERE i.code IN ('northlab-oru', 'northlab-oru-http')"""
    )
    names = ("accepted", DONE, IGNORED, PARKED, BEHIND)
    return Counter(
        {name: int(value or 0) for name, value in zip(names, row, strict=True)}
    )


class Aftermath:
    """The database after a run, beside what the ledger knows."""

    def __init__(
        self, run: str, plan: Iterable[Unit], entries: Entries, before: Counter
    ) -> None:
        self.plan = {unit.key: unit for unit in plan}
        self.before = before
        self.entries = entries
        self.rows = defaultdict(list)
        for row in query(
            """SELECT m.external_ref, m.id, m.state, m.content_hash, x.state,
                      m.next_try_at > '9999-01-01', m.conflict_id, m.tries
                 FROM health_message m LEFT JOIN health_exception x
                   ON x.id = m.exception_id
                WHERE m.external_ref LIKE %s AND m.direction = 'in'""",
            f"{run}-%",
        ):
            self.rows[row[0]].append(row[1:])
        self.unit_of = {row[0]: key for key, rows in self.rows.items() for row in rows}

    def problems(self) -> list[str]:
        """All of them, at most twenty of each kind."""
        checks = (
            self.unacknowledged,
            self.refused,
            self.answers_differ,
            self.lost,
            self.doubled,
            self.not_ended,
            self.wrong_fate,
            self.effects,
            self.order,
            self.last_states,
            self.statistics,
        )
        found = []
        for check in checks:
            of_kind = list(check())
            found += [f"{check.__name__}: {each}" for each in of_kind[:20]]
            if len(of_kind) > 20:
                found.append(f"{check.__name__}: {len(of_kind)} in all")
        return found

    # -- what the partner saw -------------------------------------------------------

    def unacknowledged(self):
        """In the end every message of the plan gets a positive answer."""
        yield from sorted(set(self.plan) - set(self.entries.acked))

    def refused(self):
        """No good message is refused for good."""
        yield from self.entries.refused

    def answers_differ(self):
        """A message sent again gets the first answer again, byte for byte."""
        for key, answers in self.entries.acked.items():
            bodies = {
                data.partition(b"\r\n\r\n")[2] if data.startswith(b"HTTP") else data
                for data in answers
            }
            if len(bodies) > 1:
                yield key

    # -- what is stored -------------------------------------------------------------

    def lost(self):
        """Acknowledged is stored, with the very bytes that were sent (G1)."""
        ring = Keyring.load(os.environ["HEALTH_KEYRING"])
        for key in self.entries.acked:
            hashes = {row[2] for row in self.rows[key]}
            if ring.blind("content", self.plan[key].raw) not in hashes:
                yield key

    def doubled(self):
        """One message for each key, and no conflict (G2)."""
        for key, rows in self.rows.items():
            if len(rows) > 1 or any(row[5] for row in rows):
                yield f"{key}: {[row[:2] for row in rows]}"

    def not_ended(self):
        """Ended, or owned by an open exception: its own or that of its predecessor."""
        for key, rows in self.rows.items():
            for _id, state, _hash, exception, behind, *_rest in rows:
                owned = state == "parked" and exception == "open"
                if not (state in ("done", "ignored") or owned or behind):
                    yield f"{key}: {state}"

    def wrong_fate(self):
        """As planned: done, ignored, parked, or behind the parked one."""
        states = {DONE: "done", IGNORED: "ignored", PARKED: "parked", BEHIND: "waiting"}
        for key, unit in self.plan.items():
            for row in self.rows[key]:
                if row[1] != states[unit.fate]:
                    yield f"{key}: {row[1]} instead of {unit.fate}, {row[6]} tries"

    # -- what it did ----------------------------------------------------------------

    def _journal(self, *kinds: str) -> list[tuple]:
        rows = query(
            """SELECT kind, message_id, status, xact::text FROM chaos_journal
                WHERE kind = ANY(%s) ORDER BY id""",
            list(kinds),
        )
        return [row for row in rows if row[1] in self.unit_of]

    def effects(self):
        """One effect for each message that is done, none for others, committed
        together with the attempt that says so (G2, G7). Of several messages about an
        order in one transaction the last one's may be the only one to be written."""
        effects, attempts = defaultdict(set), defaultdict(list)
        for _kind, message_id, _status, xact in self._journal("effect"):
            effects[self.unit_of[message_id]].add(xact)
        for _kind, message_id, _status, xact in self._journal("done", "ignored"):
            attempts[self.unit_of[message_id]].append(xact)
        later: dict[str, set] = defaultdict(set)
        for key, unit in sorted(self.plan.items(), reverse=True):
            ended = unit.fate in (DONE, IGNORED)
            if len(attempts[key]) != ended:
                yield f"{key}: {len(attempts[key])} times done"
            wanted = set(attempts[key]) if unit.fate == DONE else set()
            if effects[key] != wanted and not (
                wanted and not effects[key] and wanted <= later[unit.order]
            ):
                yield f"{key}: effects in {effects[key]}, done in {wanted}"
            later[unit.order] |= effects[key]

    def changes(self) -> dict[str, int]:
        """By how many transactions each order was changed."""
        found = defaultdict(set)
        for _kind, message_id, _status, xact in self._journal("effect"):
            found[self.plan[self.unit_of[message_id]].order].add(xact)
        return {order: len(xacts) for order, xacts in found.items()}

    def order(self):
        """Those of one order took effect in the order in which they were sent (G3)."""
        steps = defaultdict(list)
        for _kind, message_id, *_rest in self._journal("effect"):
            unit = self.plan[self.unit_of[message_id]]
            steps[unit.order].append(unit.step)
        for order, taken in steps.items():
            if taken != sorted(taken):
                yield f"{order}: {taken}"

    def last_states(self):
        """Every order shows what the last message about it said."""
        wanted = {unit.order: unit for unit in self.plan.values() if unit.last}
        found = {
            number: (status, message)
            for number, status, message in query(
                """SELECT o.placer_number, l.result_status, o.result_message_id
                     FROM health_lab_order o
                     JOIN health_lab_order_line l ON l.order_id = o.id
                    WHERE o.placer_number = ANY(%s)""",
                list(wanted),
            )
        }
        for order, unit in wanted.items():
            status, message_id = found.get(order, (None, None))
            last = self.plan.get(self.unit_of.get(message_id, ""))
            if status != unit.last or last is None or last.step != 2:
                yield f"{order}: {status}"

    def statistics(self):
        """The roll-up has counted what the ledger has (before: earlier traffic)."""
        wanted = Counter(unit.fate for unit in self.plan.values())
        wanted["accepted"] = len(self.plan)
        counted = rolled_up()
        counted.subtract(self.before)
        for name, count in wanted.items():
            if counted[name] != count:
                yield f"{name}: {counted[name]} counted, {count} sent"
