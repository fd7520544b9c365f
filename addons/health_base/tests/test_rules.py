from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import HealthCase


@tagged("post_install", "-at_install")
class TestRules(HealthCase):
    """Who sees whom. Every case asks as a user, never as the superuser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.in_north = cls.new_patient("North", cls.north, "TMR 1")
        cls.in_south = cls.new_patient("South", cls.south, "TMR 2")
        cls.anywhere = cls.new_patient("Anywhere", number="TMR 3")
        cls.in_east = cls.new_patient("East", cls.east)
        cls.new_identifier(cls.in_east, "TMR 4", company_id=cls.other_company.id)
        cls.people = cls.in_north | cls.in_south | cls.anywhere | cls.in_east
        cls.clerk = cls.new_user("t-north", clinics=cls.north)
        cls.all_clinics = cls.new_user("t-all")

    def seen(self, user, model="res.partner", among=None):
        domain = [("id", "in", (among or self.people).ids)]
        return self.env[model].with_user(user).search(domain).with_user(self.env.user)

    def test_a_user_of_a_clinic_sees_its_patients(self):
        self.assertEqual(self.seen(self.clerk), self.in_north | self.anywhere)

    def test_a_user_without_clinics_sees_those_of_the_company(self):
        self.assertEqual(
            self.seen(self.all_clinics), self.in_north | self.in_south | self.anywhere
        )

    @mute_logger("odoo.addons.base.models.ir_rule")
    def test_a_patient_of_another_clinic_can_neither_be_read_nor_changed(self):
        with self.assertRaises(AccessError):
            self.in_south.with_user(self.clerk).read(["name"])
        with self.assertRaises(AccessError):
            self.in_south.with_user(self.clerk).write({"name": "X"})

    @mute_logger("odoo.addons.base.models.ir_rule")
    def test_nobody_moves_a_patient_out_of_sight(self):
        patient = self.in_north.with_user(self.clerk)
        with self.assertRaises(AccessError):
            patient.write({"clinic_id": self.south.id})
            self.env.flush_all()
            patient.check_access("write")

    def test_rules_hold_for_integration_roles_too(self):
        for role in ("viewer", "operator", "administrator"):
            group = f"health_base.group_{role}"
            user = self.new_user(f"t-{role}", group, clinics=self.south)
            self.assertEqual(self.seen(user), self.in_south | self.anywhere, role)

    def test_identifiers_follow_the_person(self):
        identifiers = self.people.identifier_ids
        seen = self.seen(self.clerk, "health.identifier", identifiers)
        self.assertEqual(seen.partner_id, self.in_north | self.anywhere)
        seen = self.seen(self.all_clinics, "health.identifier", identifiers)
        self.assertEqual(seen.partner_id, self.in_north | self.in_south | self.anywhere)

    def test_addresses_follow_the_patient(self):
        address = self.env["res.partner"].create(
            {"parent_id": self.in_south.id, "type": "other", "name": "Home"}
        )
        self.assertEqual(address.clinic_id, self.south)
        self.assertFalse(self.seen(self.clerk, among=address))
        self.in_south.clinic_id = self.north
        self.assertEqual(self.seen(self.clerk, among=address), address)

    def test_departments_of_own_clinics(self):
        departments = self.env["health.department"].create(
            [
                {"name": "Lab", "code": "LAB", "clinic_id": clinic.id}
                for clinic in (self.north, self.south, self.east)
            ]
        )
        seen = self.seen(self.clerk, "health.department", departments)
        self.assertEqual(seen.clinic_id, self.north)
        seen = self.seen(self.all_clinics, "health.department", departments)
        self.assertEqual(seen.clinic_id, self.north | self.south)

    def test_practitioners_of_own_clinics_or_of_all(self):
        practitioners = self.env["health.practitioner"].create(
            [
                {"name": "North", "clinic_ids": self.north.ids},
                {"name": "South", "clinic_ids": self.south.ids},
                {"name": "Both", "clinic_ids": (self.north | self.south).ids},
                {"name": "All"},
                {"name": "East", "company_id": self.other_company.id},
            ]
        )
        seen = self.seen(self.clerk, "health.practitioner", practitioners)
        self.assertEqual(set(seen.mapped("name")), {"North", "Both", "All"})
        seen = self.seen(self.all_clinics, "health.practitioner", practitioners)
        self.assertEqual(len(seen), 4)

    def test_clinics_of_own_companies(self):
        clinics = self.north | self.south | self.east
        for user in (self.clerk, self.all_clinics):
            seen = self.seen(user, "health.clinic", clinics)
            self.assertEqual(seen, self.north | self.south)

    def test_two_companies_show_what_is_switched_on(self):
        both = (self.company | self.other_company).ids
        self.all_clinics.write({"company_ids": both})
        partners = self.env["res.partner"].with_user(self.all_clinics)
        domain = [("id", "in", self.people.ids), ("clinic_id", "!=", False)]
        for companies, patients in (
            (self.company.ids, self.in_north | self.in_south),
            (self.other_company.ids, self.in_east),
            (both, self.in_north | self.in_south | self.in_east),
        ):
            asked = partners.with_context(allowed_company_ids=companies)
            self.assertEqual(asked.search(domain).ids, patients.sorted().ids)

    def test_a_change_of_clinics_counts_at_once(self):
        self.assertNotIn(self.in_south, self.seen(self.clerk))
        self.clerk.clinic_ids |= self.south
        self.assertIn(self.in_south, self.seen(self.clerk))
        self.clerk.clinic_ids = self.south
        self.assertNotIn(self.in_north, self.seen(self.clerk))

    def test_an_archived_clinic_still_restricts(self):
        """It must not turn into "no clinics", which means all of them."""
        self.north.active = False
        self.assertEqual(self.seen(self.clerk), self.in_north | self.anywhere)
        practitioner = self.env["health.practitioner"].create(
            {"name": "North", "clinic_ids": self.north.ids}
        )
        other = self.new_user("t-south", clinics=self.south)
        self.assertFalse(self.seen(other, "health.practitioner", practitioner))
        practitioner.invalidate_recordset()
        self.assertEqual(practitioner.clinic_ids, self.north)  # not "all clinics"

    def test_a_user_always_reads_the_own_contact(self):
        self.clerk.partner_id.write({"is_patient": True, "clinic_id": self.south.id})
        own = self.clerk.partner_id
        self.assertEqual(self.seen(self.clerk, among=own), own)

    @mute_logger("odoo.addons.base.models.ir_rule")
    def test_a_user_of_a_clinic_registers_patients_there(self):
        patients = self.env["res.partner"].with_user(self.clerk)
        new = patients.create({"name": "New", "is_patient": True})
        self.assertEqual(new.clinic_id, self.north)
        with self.assertRaises(AccessError):
            patients.create(
                {"name": "New", "is_patient": True, "clinic_id": self.south.id}
            )

    def test_other_contacts_are_not_restricted(self):
        supplier = self.env["res.partner"].with_user(self.clerk).create({"name": "S"})
        self.assertFalse(supplier.clinic_id)
        self.assertEqual(self.seen(self.clerk, among=supplier), supplier)


@tagged("post_install", "-at_install")
class TestRoles(HealthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patient = cls.new_patient("Ada Proxyman", cls.north, "TMR 1")

    def role(self, name):
        return self.new_user(f"t-{name}", f"health_base.group_{name}")

    def may(self, user, model, operation):
        return self.env[model].with_user(user).has_access(operation)

    def test_the_integration_roles_grow(self):
        group = self.env.ref
        operator = group("health_base.group_operator")
        administrator = group("health_base.group_administrator")
        self.assertIn(group("health_base.group_viewer"), operator.all_implied_ids)
        self.assertIn(operator, administrator.all_implied_ids)

    def test_content_is_implied_by_no_role(self):
        content = self.env.ref("health_base.group_content_reader")
        self.assertEqual(content.all_implied_by_ids - content, content.browse())
        self.assertFalse(content.user_ids)

    def test_a_viewer_sees_no_identifying_field(self):
        viewer = self.role("viewer")
        self.assertFalse(self.may(viewer, "health.identifier", "read"))
        for name in ("birth_date", "identifier_ids", "health_identifier"):
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.patient.with_user(viewer).read([name])
        self.assertTrue(self.may(viewer, "health.clinic", "read"))

    def test_an_operator_reads_and_changes_nothing(self):
        operator = self.role("operator")
        for model in ("identifier", "clinic", "department", "practitioner"):
            self.assertTrue(self.may(operator, f"health.{model}", "read"))
            self.assertFalse(self.may(operator, f"health.{model}", "write"))
        values = self.patient.with_user(operator).read(["health_identifier"])
        self.assertEqual(values[0]["health_identifier"], "TMR 1")

    def test_health_administration_edits_people_and_places(self):
        user = self.role("user")
        for model in ("identifier", "clinic", "department", "practitioner"):
            for operation in ("read", "write", "create"):
                self.assertTrue(self.may(user, f"health.{model}", operation))
        self.assertTrue(self.may(user, "res.partner", "create"))

    def test_others_see_nothing_of_health(self):
        user = self.new_user("t-out", "base.group_user")
        for model in ("identifier", "clinic", "department", "practitioner"):
            self.assertFalse(self.may(user, f"health.{model}", "read"))
