"""Events out of Odoo, chosen by an administrator, and mappings that read records."""

import json

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import TransactionCase, new_test_user, tagged

from .common_out import OutboundMixin


class EventsCase(OutboundMixin, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.set_up_outbound()
        cls.model = cls.env["ir.model"]._get("res.partner")

    def rule(self, trigger="on_create_or_write", trigger_field_ids=True, **values):
        name = self.env["ir.model.fields"]._get("res.partner", "name")
        return self.env["base.automation"].create(
            {
                "name": "Tell the lab",
                "model_id": self.model.id,
                "trigger": trigger,
                "filter_domain": "[('ref', '!=', False)]",
                "trigger_field_ids": [(6, 0, trigger_field_ids and name.ids or [])],
                "action_server_ids": [(0, 0, self.action(**values))],
            }
        )

    def action(self, **values):
        return {
            "name": "Send",
            "state": "health_emit",
            "usage": "base_automation",
            "model_id": self.model.id,
            "health_interface_id": self.out.id,
            **values,
        }

    def messages(self):
        return self.env["health.message"].search(
            [("interface_id", "=", self.out.id)], order="id"
        )


@tagged("post_install", "-at_install")
class TestEvents(EventsCase):
    def test_a_change_becomes_a_message(self):
        self.rule(health_event="changed")
        self.record.name = "Ada Lovelace"
        self.env["res.partner"].create({"name": "no number"})
        message = self.messages()
        self.assertEqual(message.event, "changed")
        self.assertEqual(
            (message.res_model, message.res_id), ("res.partner", self.record.id)
        )
        self.drain_out()
        self.assertEqual(message.state, "done")
        self.assertEqual(
            json.loads(self.stub.received[0]["body"])["name"], "Ada Lovelace"
        )

    def test_a_business_that_fails_leaves_no_message(self):
        self.rule()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.record.name = "never"
            self.env.flush_all()
            self.assertEqual(len(self.messages()), 1)
            raise ZeroDivisionError
        self.assertFalse(self.messages())

    def test_whoever_causes_it_needs_no_rights_on_messages(self):
        self.rule()
        clerk = new_test_user(
            self.env, "clerk", groups="base.group_user,base.group_partner_manager"
        )
        self.record.with_user(clerk).name = "by a clerk"
        self.assertEqual(len(self.messages()), 1)
        with self.assertRaises(AccessError):
            self.messages().with_user(clerk).read(["state"])

    def test_a_deletion_is_told_as_the_record_was(self):
        self.rule(trigger="on_unlink")
        self.record.unlink()
        self.drain_out()
        self.assertEqual(
            json.loads(self.stub.received[0]["body"]), {"number": "N-1", "name": "Ada"}
        )

    def test_a_rule_tells_a_record_once_in_a_transaction(self):
        self.rule(trigger_field_ids=False)
        made = self.env["res.partner"].create({"name": "one", "ref": "N-9"})
        made.name = "two"
        self.env.flush_all()
        message = self.messages()
        self.assertEqual(message.res_id, made.id)
        self.drain_out()
        self.assertIn(b"two", self.stub.received[0]["body"])

    def test_what_a_savepoint_undid_is_told_when_it_is_done_again(self):
        self.rule()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.record.name = "undone"
            self.env.flush_all()
            raise ZeroDivisionError
        self.assertFalse(self.messages())
        self.record.name = "done"
        self.env.flush_all()
        self.assertEqual(len(self.messages()), 1)

    def test_events_of_one_record_keep_their_order(self):
        self.rule(), self.rule()
        self.record.name = "two"
        self.env.flush_all()
        first, second = self.messages()
        self.stub.faults.append("503")
        self.drain_out()
        self.assertEqual((first.state, second.state), ("waiting", "pending"))

    def test_another_companys_records_do_not_leave(self):
        self.rule()
        other = self.env["res.company"].create({"name": "Other clinic"})
        self.record.write({"company_id": other.id, "name": "moved"})
        self.env.flush_all()
        self.assertFalse(self.messages())

    def test_an_interface_that_is_not_live_takes_no_events(self):
        self.rule()
        self.out.state = "draft"
        self.record.name = "x"
        self.env.flush_all()
        self.assertFalse(self.messages())

    def test_only_administrators_of_the_integrations_choose_what_leaves(self):
        system = new_test_user(self.env, "system", groups="base.group_system")
        actions = self.env["ir.actions.server"].with_user(system)
        with self.assertRaises(AccessError):
            actions.create(self.action(usage="ir_actions_server"))
        both = new_test_user(
            self.env,
            "both",
            groups="base.group_system,health_base.group_administrator",
        )
        action = actions.with_user(both).create(self.action(usage="ir_actions_server"))
        with self.assertRaises(AccessError):
            action.with_user(system).health_event = "other"

    def test_an_action_needs_an_interface_of_its_model(self):
        with self.assertRaises(ValidationError):
            self.rule(health_interface_id=False)
        self.model = self.env["ir.model"]._get("res.company")
        with self.assertRaises(ValidationError):
            self.env["ir.actions.server"].create(self.action(usage="ir_actions_server"))


@tagged("post_install", "-at_install")
class TestRecordMapping(EventsCase):
    def line(self, source, target="name"):
        self.partner_mapping.line_ids = [
            (5, 0, 0),
            (0, 0, {"target": target, "source": source}),
        ]

    def built(self, record):
        handler = self.env["health.plugin"]._get("handler", "core.record")
        return handler._build(record, self.out)

    def test_links_lists_and_alternatives(self):
        tags = self.env["res.partner.category"].create([{"name": "a"}, {"name": "b"}])
        self.record.write(
            {
                "country_id": self.env.ref("base.be").id,
                "category_id": [(6, 0, tags.ids)],
                "child_ids": [(0, 0, {"name": "Ida", "email": "i@example.org"})],
            }
        )
        self.partner_mapping.line_ids = [
            (5, 0, 0),
            (0, 0, {"target": "country", "source": "country_id.code"}),
            (0, 0, {"target": "tags", "source": "category_id[].name"}),
            (0, 0, {"target": "mail", "source": "email|child_ids[].email"}),
            (0, 0, {"target": "contacts[]", "source": "child_ids[]"}),
            (0, 0, {"target": "contacts[].name", "source": "name"}),
            (0, 0, {"target": "contacts[].of", "source": "parent_id.ref"}),
            (0, 0, {"target": "active", "source": "active"}),
            (0, 0, {"target": "since", "source": "create_date"}),
        ]
        document = self.built(self.record)
        self.assertRegex(document.pop("since"), r"^\d{4}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertEqual(sorted(document.pop("tags")), ["a", "b"])
        self.assertEqual(
            document,
            {
                "country": "BE",
                "mail": ["i@example.org"],
                "contacts": [{"name": "Ida", "of": "N-1"}],
                "active": True,
            },
        )

    def test_paths_that_lead_nowhere_are_refused_when_they_are_saved(self):
        for source, target in (
            ("nme", "name"),
            ("name.x", "name"),
            ("country_id", "name"),
            ("child_ids.name", "name"),
            ("category_id[]", "name"),
            ("child_ids", "list[]"),
            ("name", "list[]"),
            ("image_1920", "name"),
            ("child_ids[].nme", "name"),
            ("__class__", "name"),
            ("a b", "name"),
        ):
            with self.subTest(source=source), self.assertRaises(ValidationError):
                self.line(source, target)

    def test_what_not_everybody_may_see_does_not_leave(self):
        field = self.env["res.partner"]._fields["email"]
        self.patch(field, "groups", "base.group_system")
        with self.assertRaises(ValidationError):
            self.line("child_ids[].email")

    def test_nobody_lets_out_what_they_may_not_read(self):
        administrator = new_test_user(
            self.env, "mapper", groups="health_base.group_administrator"
        )
        parameters = self.env["ir.model"]._get("ir.config_parameter")
        with self.assertRaises(ValidationError):
            self.env["health.mapping"].with_user(administrator).create(
                {
                    "name": "sneaky",
                    "codec": "record",
                    "model_id": parameters.id,
                    "line_ids": [(0, 0, {"target": "name", "source": "value"})],
                }
            )
