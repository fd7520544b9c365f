from odoo.tests import Form, tagged

from .common import HealthCase


@tagged("post_install", "-at_install")
class TestScreens(HealthCase):
    """The forms, as a clerk fills them in."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.north.tz = "Asia/Tokyo"
        clerk = cls.new_user("t-clerk", clinics=cls.north)
        cls.as_clerk = cls.env(user=clerk)

    def test_register_a_patient(self):
        action = self.env.ref("health_base.action_patients")
        views = {mode: view for view, mode in action.views}
        patients = self.as_clerk["res.partner"].with_context(default_is_patient=True)
        with Form(patients, view=views["form"]) as form:
            form.name = "Ada Proxyman"
            form.birth_date = "1980-02-29"
            with form.identifier_ids.new() as line:
                self.assertEqual(line.type, "MR")
                line.system = "testlab"
                line.value = " mrn  1 "
        patient = form.record
        self.assertTrue(patient.is_patient)
        self.assertEqual(patient.clinic_id, self.north)
        self.assertEqual(patient.tz, "Asia/Tokyo")
        self.assertEqual(patient.identifier_ids.system, "TESTLAB")
        self.assertEqual(patient.health_identifier, "mrn 1")

    def test_register_a_practitioner(self):
        with Form(self.as_clerk["health.practitioner"]) as form:
            form.name = "Dr. A"
            form.clinic_ids.add(self.north)
        with Form(form.record) as form, form.identifier_ids.new() as line:
            line.system = "TESTLAB"
            line.value = "E 1"
        practitioner = form.record
        self.assertEqual(practitioner.partner_id.identifier_ids.value, "E 1")

    def test_add_a_clinic_with_departments(self):
        manager = self.new_user("t-manager", "health_base.group_administrator")
        with Form(self.env["health.clinic"].with_user(manager)) as form:
            form.name = "West"
            form.code = "WST"
            with form.department_ids.new() as line:
                line.name = "Laboratory"
                line.code = "LAB"
        self.assertEqual(form.record.department_ids.company_id, self.company)

    def test_every_window_opens_for_its_users(self):
        windows = self.env["ir.actions.act_window"].search([])
        ids = windows.get_external_id()
        ours = windows.filtered(lambda w: ids[w.id].startswith("health_base."))
        self.assertEqual(len(ours), 5)
        for window in ours:
            model = self.as_clerk[window.res_model]
            views = model.get_views([*window.views, (False, "search")])["views"]
            self.assertLessEqual({"list", "kanban", "form", "search"}, set(views))
