"""Races for the unique keys of the core, run inside an Odoo of its own (its shell).

Two threads with real cursors at Odoo's isolation level (REPEATABLE READ) meet at a
barrier; a database conflict is answered as the framework does, by running the
transaction again. Every race is a generator function of the outcomes of its rounds;
the caller asserts (``test_races.py``).
"""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import psycopg2.errors

CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.UniqueViolation,
)
ROUNDS = 50


class Races:
    """A backend that no running drain looks at, and two threads."""

    def __init__(self, env) -> None:
        self.env = env
        self.pool = ThreadPoolExecutor(2)
        self.backend = env["health.backend"].create(
            {"name": "Races", "code": f"races-{uuid.uuid4().hex[:6]}", "kind": "other"}
        )
        self.interface = env["health.interface"].create(
            {
                "name": "Races",
                "code": f"races-{uuid.uuid4().hex[:6]}",
                "backend_id": self.backend.id,
                "codec": "json",
                "handler": "core.keep",
                "state": "live",
                "dedupe_source": "id",
                "order_key_source": "order",
            }
        )
        # a promise that outlasts the test: dispatch leaves the backend to us
        env.cr.execute(
            "UPDATE health_backend_state SET drain_until = '2100-01-01' "
            "WHERE backend_id = %s",
            [self.backend.id],
        )
        env.cr.commit()

    # -- tools ----------------------------------------------------------------------

    def both(self, first, second):
        """Run two functions of an environment at once, each in its transaction.

        :return: what each returned, or the name of what it raised
        """
        barrier = threading.Barrier(2)
        futures = [
            self.pool.submit(self._transaction, barrier, each)
            for each in (first, second)
        ]
        return [future.result(60) for future in futures]

    def _transaction(self, barrier, function):
        from odoo import SUPERUSER_ID, api

        for number in range(5):
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    cr.execute("SELECT 1")  # takes the snapshot
                    if not number:
                        barrier.wait(30)
                    return function(env)
            except CONFLICTS as exc:
                last = type(exc).__name__
            except Exception as exc:
                return getattr(exc, "code", None) or type(exc).__name__
        return last

    def accept(self, count, orders=0):
        """New messages, committed; their ids."""
        from odoo.addons.health_connector.lib.accept import Channel, Incoming, accept

        channel = Channel(self.interface.id, self.backend.id, self.env.company.id)
        units = [
            Incoming(
                channel,
                json.dumps({"n": n}).encode(),
                dedupe_key=uuid.uuid4().hex,
                order_key=f"{uuid.uuid4().hex[:4]}-{n % orders}" if orders else "",
            )
            for n in range(count)
        ]
        ring = self.env["health.keyring"]._ring()
        receipts = accept(self.env.cr, ring, units)
        self.env.cr.commit()
        return [receipt.message_id for receipt in receipts]

    def rows(self, sql, *params):
        self.env.cr.commit()
        self.env.cr.execute(sql, params)
        return self.env.cr.fetchall()

    # -- the races ------------------------------------------------------------------

    def dedupe(self):
        """Two doors take the same message."""
        from odoo.addons.health_connector.lib.accept import Channel, Incoming, accept

        channel = Channel(self.interface.id, self.backend.id, self.env.company.id)
        ring = self.env["health.keyring"]._ring()
        for _round in range(ROUNDS):
            unit = Incoming(channel, b"{}", dedupe_key=uuid.uuid4().hex)

            def take(env, unit=unit):
                [receipt] = accept(env.cr, ring, [unit])
                return [receipt.message_id, receipt.verdict]

            yield self.both(take, take)

    def payload_stage(self):
        """Two workers seal the same stage of a message."""
        for message_id in self.accept(ROUNDS):
            [(uid,)] = self.rows(
                "SELECT uid FROM health_message WHERE id = %s", message_id
            )

            def store(env, message_id=message_id, uid=uid):
                content = {message_id: (uid, b"{}", "application/json")}
                env["health.payload"]._store("canonical", content)
                return "stored"

            outcomes = self.both(store, store)
            found = self.rows(
                "SELECT count(*) FROM health_payload "
                "WHERE message_id = %s AND stage = 'canonical'",
                message_id,
            )
            opened = self.env["health.payload"]._open_raw([message_id], "canonical")
            yield [*outcomes, found[0][0], opened[message_id][0].decode()]

    def open_cause(self):
        """Two workers meet the same cause, and record it as they do."""
        from odoo.addons.health_connector.lib.errors import MAPPING, Failure

        for number, message_id in enumerate(ids := self.accept(2 * ROUNDS)):
            if number % 2:
                continue
            pair = [message_id, ids[number + 1]]
            for owner, each in zip("ab", pair, strict=True):
                self._hold(each, owner)
            failure = Failure("race.cause", MAPPING, {}, {"n": number}, ("n",))

            def record(owner, message_id, failure=failure):
                def run(env):
                    failed = [(message_id, failure, "apply", 1.0)]
                    try:
                        env["health.failure"]._record_failures(failed, owner)
                    except CONFLICTS as exc:  # nobody above would try again
                        return type(exc).__name__
                    return "recorded"

                return run

            outcomes = self.both(record("a", pair[0]), record("b", pair[1]))
            [(states, exceptions)] = self.rows(
                """SELECT array_agg(DISTINCT m.state), count(DISTINCT m.exception_id)
                     FROM health_message m WHERE m.id = ANY(%s)""",
                pair,
            )
            yield [*outcomes, *states, exceptions]

    def _hold(self, message_id, owner):
        self.env.cr.execute(
            """UPDATE health_message SET state = 'processing', lease_owner = %s,
                      lease_until = now() AT TIME ZONE 'UTC' + interval '1 hour',
                      tries = 1
                WHERE id = %s""",
            [owner, message_id],
        )
        self.env.cr.commit()

    def external_id(self):
        """Two workers bind the same external id to different records."""
        for number in range(ROUNDS):
            yield self._bind((1, f"x{number}"), (2, f"x{number}"))

    def record(self):
        """Two workers bind the same record to different external ids."""
        for number in range(ROUNDS):
            pair = [(10 + number, f"a{number}"), (10 + number, f"b{number}")]
            yield self._bind(*pair)

    def _bind(self, *pair):
        def bind(record_id, external_id):
            def run(env):
                backend = env["health.backend"].browse(self.backend.id)
                rows = [("res.lang", record_id, external_id, "", 1)]
                env["health.binding"]._store(backend, rows)
                return "bound"

            return run

        outcomes = self.both(*(bind(*each) for each in pair))
        self.env.cr.execute(
            "DELETE FROM health_binding WHERE backend_id = %s AND res_id < 10",
            [self.backend.id],
        )
        self.env.cr.commit()
        return sorted(outcomes)

    def order_number(self):
        """Two people give an order the same number."""
        patient = self.env["res.partner"].search([("is_patient", "=", True)], limit=1)
        for _round in range(ROUNDS):
            values = {"placer_number": uuid.uuid4().hex[:12], "partner_id": patient.id}

            def create(env, values=values):
                env["health.lab.order"].create(values)
                env.cr.flush()
                return "created"

            yield sorted(self.both(create, create))

    def claim(self):
        """Two drains claim at the same moment."""
        for _round in range(ROUNDS):
            self.accept(16, orders=6)

            def drain(owner):
                def run(env):
                    backend = env["health.backend"].browse(self.backend.id)
                    return env["health.drain"]._claim(backend, owner, 10)

                return run

            first, second = self.both(drain("one"), drain("two"))
            split = self.rows(
                """SELECT count(*) FROM (
                       SELECT order_key FROM health_message WHERE id = ANY(%s)
                     GROUP BY order_key HAVING count(DISTINCT lease_owner) > 1) k""",
                first + second,
            )
            [(tries,)] = self.rows(
                "SELECT max(tries) FROM health_message WHERE id = ANY(%s)",
                first + second,
            )
            for owner, ids in (("one", first), ("two", second)):
                self.env["health.pipeline"]._apply_claimed(ids, owner)
            yield [len(set(first) & set(second)), split[0][0], tries]

    def claims_at_last(self):
        """Afterwards one drain takes what is left, and everything was done once."""
        self.env["health.drain"]._drain(self.backend, promise=False)
        yield from self.rows(
            """SELECT m.state, count(DISTINCT m.id), count(a.id)
                 FROM health_message m LEFT JOIN health_attempt a
                   ON a.message_id = m.id AND a.outcome = 'done'
                WHERE m.interface_id = %s AND m.order_key IS NOT NULL
             GROUP BY 1""",
            self.interface.id,
        )


def main(env, name) -> None:
    races = Races(env)
    for part in name.split():
        for outcome in getattr(races, part)():
            print("ROUND", json.dumps([part, outcome]), flush=True)
    env["health.drain"]._drain(races.backend, promise=False)
    races.interface.state = "suspended"
    env.cr.commit()
