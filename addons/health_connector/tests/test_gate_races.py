"""Two callers at the same moment, on two connections: the gate lets one in."""

import threading
from unittest.mock import patch

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import DummyRLock, Registry
from odoo.tests import BaseCase, tagged
from odoo.tests.common import get_db_name

ROUNDS = 50
_PROBE_DUE = """
UPDATE health_backend_gate
   SET breaker = 'open', openings = 1, calls = NULL,
       until = clock_timestamp() AT TIME ZONE 'UTC'
 WHERE backend_id = %s
"""
_PROBE_DIED = _PROBE_DUE.replace("'open'", "'half_open'")
_ONE_TOKEN = """
UPDATE health_backend_gate
   SET breaker = 'closed', calls = NULL, tokens = 1,
       tokens_at = extract(epoch FROM clock_timestamp())
 WHERE backend_id = %s
"""
_NO_CALLS = """
UPDATE health_backend_gate SET breaker = 'closed', calls = NULL, tokens_at = NULL
 WHERE backend_id = %s
"""


@tagged("post_install", "-at_install")
class TestGateRaces(BaseCase):
    """Works on committed rows, as processes do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry(get_db_name())
        # the test's thread holds it, and the callers here are threads
        cls.startClassPatcher(patch.object(Registry, "_lock", DummyRLock()))
        with cls.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            cls.backend_id = (
                env["health.backend"].create({"name": "Races", "code": "races"}).id
            )
        cls.addClassCleanup(cls._clean_up)

    @classmethod
    def _clean_up(cls):
        with cls.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["health.backend"].browse(cls.backend_id).unlink()

    def configure(self, **values):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["health.backend"].browse(self.backend_id).write(values)

    def race(self, prepare, callers=2):
        """Let callers ask at the same moment, so many rounds.

        :return: the permits of each round
        """
        rounds = []
        for _each in range(ROUNDS):
            with self.registry.cursor() as cr:
                cr.execute(prepare, [self.backend_id])
            barrier, permits = threading.Barrier(callers), []
            threads = [
                threading.Thread(target=self.ask, args=(barrier, permits))
                for _caller in range(callers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            self.assertEqual(len(permits), callers)
            rounds.append(permits)
        return rounds

    def ask(self, barrier, permits):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            backend = env["health.backend"].browse(self.backend_id)
            barrier.wait(30)
            permits.append(env["health.gate"]._permit(backend))

    def assert_one_each(self, rounds, reason, probe=False):
        for permits in rounds:
            allowed = [permit for permit in permits if permit.allowed]
            refused = [permit.reason for permit in permits if not permit.allowed]
            self.assertEqual([permit.probe for permit in allowed], [probe])
            self.assertEqual(set(refused), {reason})

    def test_one_gets_the_probe(self):
        self.configure(rate_out=0, max_calls=0)
        self.assert_one_each(self.race(_PROBE_DUE), "breaker", probe=True)
        with self.registry.cursor() as cr:
            cr.execute(
                """SELECT count(*) FROM health_backend_event
                    WHERE backend_id = %s AND to_state = 'half_open'""",
                [self.backend_id],
            )
            self.assertEqual(cr.fetchone()[0], ROUNDS)

    def test_one_replaces_a_probe_that_died(self):
        self.configure(rate_out=0, max_calls=0)
        self.assert_one_each(self.race(_PROBE_DIED), "breaker", probe=True)

    def test_one_gets_the_last_token(self):
        self.configure(rate_out=0.001, rate_out_burst=1, max_calls=0)
        self.assert_one_each(self.race(_ONE_TOKEN, callers=3), "rate")

    def test_one_gets_the_last_place(self):
        self.configure(rate_out=0, max_calls=1)
        self.assert_one_each(self.race(_NO_CALLS), "busy")
