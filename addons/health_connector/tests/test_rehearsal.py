"""A rehearsal tells what would happen, and nothing has happened."""

from odoo.tests import tagged

from ..lib.errors import MAPPING, HealthError
from ..models.health_handler import Outcome
from .common import ConnectorCase

# every table and every sequence that a rehearsal could leave something in
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1
"""


@tagged("post_install", "-at_install")
class TestRehearsal(ConnectorCase):
    def rehearse(self, *receipts, interface=None):
        with self.enter_registry_test_mode():
            verdicts = self.env["health.rehearsal"]._rehearse(
                [(each.message_id, interface) for each in receipts]
            )
        self.env.invalidate_all()
        return [verdicts[each.message_id] for each in receipts]

    def checksums(self):
        """{table: checksum of all its rows}."""
        self.env.flush_all()
        self.env.cr.execute(_TABLES)
        sums = {}
        for (table,) in self.env.cr.fetchall():
            self.env.cr.execute(
                f'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM "{table}" t'
            )
            sums[table] = self.env.cr.fetchone()
        return sums

    def write_partner(self, document, exchange):
        partner = self.env.user.partner_id.with_env(exchange.interface.env)
        if partner.ref == document["order"]:
            return Outcome(record=partner, ignored="demo.stale")
        partner.ref = document["order"]
        exchange.bind(partner, document["order"])
        return Outcome(record=partner)

    def test_a_change_is_counted_and_undone(self):
        receipt = self.accept(self.body(order_no="A"))
        before = self.checksums()
        with self.handler(self.write_partner):
            (verdict,) = self.rehearse(receipt)
        self.assertEqual((verdict.outcome, verdict.changes), ("done", 1))
        self.assertEqual(
            (verdict.res_model, verdict.res_id),
            ("res.partner", self.env.user.partner_id.id),
        )
        self.assertEqual(self.checksums(), before)
        self.assertEqual(self.message(receipt).state, "pending")

    def test_each_message_sees_those_before_it(self):
        receipts = [self.accept(self.body(n, order_no="A")) for n in (1, 2)]
        with self.handler(self.write_partner):
            first, second = self.rehearse(*receipts)
        self.assertEqual((first.outcome, first.changes), ("done", 1))
        self.assertEqual((second.outcome, second.code), ("ignored", "demo.stale"))
        self.assertTrue(second.changes_nothing)
        self.assertEqual(first.document_hash, second.document_hash)

    def test_what_fails_is_told_with_its_cause_and_spoils_no_other(self):
        bad = self.accept(self.body(1, test="ZZ"))
        unknown = self.accept(self.body(2, order_no="A"))
        good = self.accept(self.body(3, order_no="B"))

        def apply(document, exchange):
            outcome = self.write_partner(document, exchange)
            if document["order"] == "A":
                raise HealthError("demo.unknown", MAPPING)
            return outcome

        before = self.checksums()
        with self.handler(apply):
            verdicts = self.rehearse(bad, unknown, good)
        self.assertEqual(
            [(each.outcome, each.code, each.changes) for each in verdicts],
            [("failed", "mapping.code", 0), ("failed", "demo.unknown", 0)]
            + [("done", "", 1)],
        )
        self.assertEqual(verdicts[0].step, "translate")
        self.assertEqual(self.checksums(), before)

    def test_messages_in_any_state(self):
        receipt = self.accept(self.body(order_no="A"))
        message = self.message(receipt)
        for state in ("done", "ignored", "parked", "cancelled", "reverted"):
            self.env.cr.execute(
                "UPDATE health_message SET state = %s WHERE id = %s",
                [state, message.id],
            )
            message.invalidate_recordset()
            with self.handler(self.write_partner):
                (verdict,) = self.rehearse(receipt)
            self.assertEqual((verdict.outcome, verdict.changes), ("done", 1))
            self.assertEqual(message.state, state)

    def test_through_another_interface(self):
        receipt = self.accept(self.body(order_no="A"))
        bare = self.interface.copy({"code": "demo-bare", "mapping_id": False})
        (verdict,) = self.rehearse(receipt, interface=bare)
        # without the mapping the body itself does not fit the contract
        self.assertEqual((verdict.outcome, verdict.step), ("failed", "validate"))
        self.assertEqual(self.rehearse(receipt)[0].outcome, "done")

    def test_nothing_is_sent_and_no_cache_remembers(self):
        receipt = self.accept(self.body(order_no="A"))
        sent = []

        def apply(document, exchange):
            env = exchange.interface.env
            env.cr.postcommit.add(lambda: sent.append(1))
            env["res.partner"].with_delay().name_search()
            config = env["ir.config_parameter"]
            config.set_param("health.rehearsal.demo", "1")
            self.assertEqual(config.get_param("health.rehearsal.demo"), "1")
            return Outcome()

        parameters = self.env["ir.config_parameter"]
        self.assertFalse(parameters.get_param("health.rehearsal.demo"))
        before = self.checksums()
        with self.handler(apply):
            self.assertEqual(self.rehearse(receipt)[0].outcome, "done")
        self.env.cr.postcommit.run()
        self.assertEqual(sent, [])
        self.assertFalse(parameters.get_param("health.rehearsal.demo"))
        self.assertEqual(self.checksums(), before)

    def test_the_caller_still_tells_other_processes_what_it_changed(self):
        receipt = self.accept(self.body(order_no="A"))
        self.env.registry.clear_cache()
        self.addCleanup(self.env.registry.reset_changes)
        self.rehearse(receipt)
        self.assertIn("default", self.env.registry.cache_invalidated)

    def test_a_handler_that_is_gone_is_a_verdict(self):
        receipt = self.accept(self.body(order_no="A"))
        self.env.cr.execute(
            "UPDATE health_interface SET handler = 'demo.gone' WHERE id = %s",
            [self.interface.id],
        )
        self.interface.invalidate_recordset()
        (verdict,) = self.rehearse(receipt)
        self.assertEqual((verdict.outcome, verdict.code), ("failed", "plugin.missing"))
