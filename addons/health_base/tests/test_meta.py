from odoo.tests import TransactionCase, tagged

from .common_meta import guard_faults, suite_models


@tagged("post_install", "-at_install")
class TestMeta(TransactionCase):
    def test_every_model_of_the_suite_is_guarded(self):
        self.assertEqual(guard_faults(self.env), [])

    def test_the_models_of_this_addon_are_looked_at(self):
        names = {model._name for model in suite_models(self.env, "health_base")}
        self.assertEqual(
            names,
            {
                "health.clinic",
                "health.department",
                "health.identifier",
                "health.practitioner",
            },
        )

    def test_a_missing_company_rule_is_a_fault(self):
        self.env.ref("health_base.rule_clinic_company").unlink()
        (fault,) = guard_faults(self.env, "health_base")
        self.assertIn("health.clinic: no global record rule", fault)

    def test_a_company_rule_of_one_group_is_not_enough(self):
        rule = self.env.ref("health_base.rule_clinic_company")
        rule.groups = self.env.ref("health_base.group_user")
        self.assertEqual(len(guard_faults(self.env, "health_base")), 1)

    def test_a_clinic_rule_is_no_company_rule(self):
        self.env.ref("health_base.rule_department_company").active = False
        (fault,) = guard_faults(self.env, "health_base")
        self.assertIn("health.department", fault)

    def test_missing_access_rights_are_a_fault(self):
        rights = self.env["ir.model.access"].search(
            [("model_id.model", "=", "health.identifier")]
        )
        rights[1:].unlink()
        self.assertEqual(guard_faults(self.env, "health_base"), [])
        rights[0].group_id = False
        (fault,) = guard_faults(self.env, "health_base")
        self.assertIn("without a group", fault)
        rights[0].unlink()
        (fault,) = guard_faults(self.env, "health_base")
        self.assertIn("nobody has access", fault)
