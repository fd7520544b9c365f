"""What follows from each class of error, as shipped and as changed by people."""

from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import psycopg2

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import breaker, errors
from ..lib.errors import AUTH, MAPPING, THROTTLED, TRANSIENT, Failure, HealthError
from ..models import health_pipeline
from ..models.health_handler import Outcome
from .common import ConnectorCase

#: what PostgreSQL says to a transaction that another one overtook
CONFLICT = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
#: class: (seconds before the first retry at most, tries, hours, breaker, who)
TABLE = {
    "transient": (5, 8, 24, breaker.COUNTS, "administrator"),
    "throttled": (5, 8, 24, breaker.NOTHING, "administrator"),
    "auth": (1, 2, 24, breaker.OPENS, "administrator"),
    "rejected": (None, 0, 0, breaker.ANSWERED, "staff"),
    "contract": (None, 0, 0, breaker.ANSWERED, "owner"),
    "mapping": (None, 0, 0, breaker.ANSWERED, "staff"),
    "conflict": (None, 0, 0, breaker.ANSWERED, "staff"),
    "bug": (None, 0, 0, breaker.ANSWERED, "administrator"),
}


@tagged("post_install", "-at_install")
class TestErrorPolicy(ConnectorCase):
    def raising(self, code, error_class, **more):
        def apply(document, exchange):
            raise HealthError(code, error_class, **more)

        return apply

    def failing(self, error_class, **more):
        """A handler that fails with one class."""
        return self.handler(self.raising("demo.fault", error_class, **more))

    def make_due(self):
        self.env.cr.execute("UPDATE health_message SET next_try_at = accepted_at")
        self.env.invalidate_all()

    # -- the table ----------------------------------------------------------------

    def test_the_shipped_policy_is_the_table_of_the_design(self):
        policy = self.interface._policy()
        self.assertEqual(sorted(TABLE), sorted(errors.ERROR_CLASSES))
        for error_class, (wait, tries, hours, effect, role) in TABLE.items():
            with self.subTest(error_class):
                line = policy.line(error_class)
                first = policy.decide(error_class, 1, 0.0, draw=max)
                self.assertEqual(first, wait)
                self.assertEqual(policy.effect(error_class), effect)
                self.assertEqual(line.goes_to, role)
                if wait:
                    self.assertIsNone(policy.decide(error_class, tries, 0.0))
                    self.assertIsNotNone(policy.decide(error_class, tries - 1, 0.0))
                    self.assertIsNone(policy.decide(error_class, 1, hours * 3600.0))

    def test_an_interface_without_a_policy_has_the_shipped_one(self):
        self.assertEqual(
            self.interface.error_policy_id,
            self.env.ref("health_connector.error_policy_default"),
        )
        shipped = self.interface._policy()
        self.interface.error_policy_id = False
        self.assertEqual(self.interface._policy(), shipped)

    def test_a_new_policy_begins_as_the_shipped_one(self):
        policy = self.env["health.error.policy"].create({"name": "Ours"})
        self.assertEqual(policy._pure(), self.interface._policy())

    def test_figures_that_make_no_sense_are_refused(self):
        line = self.policy().line_ids[0]
        for figures in (
            {"base": 0},
            {"cap": 1.0},
            {"max_tries": 0, "max_age_hours": 0},
        ):
            with (
                self.subTest(**figures),
                self.assertRaises(psycopg2.IntegrityError),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                line.write(figures)
                line.flush_recordset()
        with self.assertRaises(ValidationError):
            line.delays = "soon"

    # -- what becomes of a message ------------------------------------------------

    def test_the_budget_by_age_parks_and_processing_again_renews_it(self):
        self.policy(max_tries=0, max_age_hours=1)
        message = self.message(self.accept(self.body()))
        with self.failing(TRANSIENT):
            self.drain()
            self.assertEqual(message.state, "waiting")
            self.env.cr.execute(
                """UPDATE health_message
                      SET failing_since = failing_since - interval '1 hour'"""
            )
            self.make_due()
            self.drain()
            self.assertEqual(message.state, "parked")
            message.action_process_again()
            self.drain()
        self.assertEqual((message.state, message.tries), ("waiting", 1))

    def test_a_told_time_is_kept_and_uses_up_no_try(self):
        self.policy(THROTTLED, max_tries=2, cap=60.0)
        message = self.message(self.accept(self.body()))
        with self.failing(THROTTLED, retry_after=3600):
            for _each in range(5):
                self.drain()
                self.assertEqual((message.state, message.tries), ("waiting", 0))
                told = message.next_try_at - fields.Datetime.now()
                self.assertAlmostEqual(told.total_seconds(), 3600, delta=30)
                self.make_due()
        with self.failing(TRANSIENT):
            self.drain()
        self.assertEqual((message.state, message.tries), ("waiting", 1))
        self.assertEqual(len(message.attempt_ids), 6)

    def test_a_probe_that_fails_uses_up_no_try(self):
        message = self.message(self.accept(self.body()))
        with self.failing(TRANSIENT):
            self.drain()
        failure = Failure("demo.down", TRANSIENT, counted=False)
        self.env.cr.execute("UPDATE health_message SET state='processing', tries=8")
        message.invalidate_recordset()
        self.env["health.failure"]._record({message.id: (failure, "send", 0.0)})
        self.assertEqual((message.state, message.tries), ("waiting", 7))

    def test_credentials_are_tried_once_more_and_only_renewed_ones(self):
        message = self.message(self.accept(self.body()))
        backend = self.env.registry["health.backend"]
        with self.failing(TRANSIENT):
            for _each in range(3):
                self.drain()
                self.make_due()
        with self.failing(AUTH), patch.object(backend, "_drop_token", lambda _s: True):
            self.drain()
            self.assertEqual(message.state, "waiting")
            self.make_due()
            self.drain()
        self.assertEqual(message.state, "parked")
        message.action_process_again()
        with self.failing(AUTH):
            self.drain()
        self.assertEqual((message.state, message.tries), ("parked", 1))

    def test_the_exception_says_who_is_asked(self):
        for number, error_class in enumerate(TABLE):
            message = self.message(
                self.accept(self.body(number, order_no=f"LAB-{number}"))
            )
            self.policy(error_class, retried=False)
            with self.handler(self.raising(f"demo.{error_class}", error_class)):
                self.drain()
            self.assertEqual(message.state, "parked")
            self.assertEqual(message.exception_id.goes_to, TABLE[error_class][4])

    def test_the_playbook_of_a_cause_knows_better_who_is_asked(self):
        self.env["health.playbook"].create(
            {"code": "demo.fault", "title": "t", "next_step": "n", "role": "owner"}
        )
        message = self.message(self.accept(self.body()))
        with self.failing(MAPPING):
            self.drain()
        self.assertEqual(message.exception_id.goes_to, "owner")

    # -- conflicts of the database -------------------------------------------------

    @contextmanager
    def conflicting(self, rounds):
        """The database refuses the transaction so many times, then no more."""
        left = [rounds]

        def apply(document, exchange):
            if left[0]:
                left[0] -= 1
                self.env.cr.execute(CONFLICT)
            return Outcome(record=self.backend.owner_id.partner_id)

        with self.handler(apply), patch.object(health_pipeline, "_CONFLICT_PAUSE", 0):
            yield left

    @mute_logger("odoo.sql_db")
    def test_conflicts_are_bounded_and_use_up_no_try(self):
        message = self.message(self.accept(self.body()))
        with self.conflicting(10**6) as left:
            for _each in range(3):
                before = left[0]
                self.drain()
                # once in the batch, then so many rounds alone, then back in line
                self.assertEqual(before - left[0], 1 + health_pipeline._CONFLICT_ROUNDS)
                self.assertEqual((message.state, message.tries), ("pending", 0))
                self.assertFalse(message.failing_since or message.attempt_ids)
                self.make_due()
        with self.conflicting(3):
            self.drain()
        self.assertEqual((message.state, message.tries), ("done", 1))

    @mute_logger("odoo.sql_db")
    def test_conflicts_leave_the_budget_of_real_failures_alone(self):
        self.policy(max_tries=2)
        message = self.message(self.accept(self.body()))
        with self.failing(TRANSIENT):
            self.drain()
        for _each in range(4):
            self.make_due()
            with self.conflicting(10**6):
                self.drain()
        self.assertEqual((message.state, message.tries), ("pending", 1))
        self.make_due()
        self.assertLess(message.failing_since, fields.Datetime.now() + timedelta(1))
        with self.failing(TRANSIENT):
            self.drain()
        self.assertEqual((message.state, message.tries), ("parked", 2))
