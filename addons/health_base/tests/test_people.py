from datetime import timedelta

from psycopg2 import errors

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..exceptions import HealthUserError
from .common import HealthCase


@tagged("post_install", "-at_install")
class TestPeople(HealthCase):
    def test_a_birth_date_lies_in_the_past(self):
        today = fields.Date.context_today(self.env.user)
        self.new_patient("Newborn", birth_date=today)
        with self.assertRaises(HealthUserError) as caught:
            self.new_patient("Unborn", birth_date=today + timedelta(days=2))
        self.assertEqual(caught.exception.code, "patient.birth_date")

    def test_the_home_clinic_is_of_the_patients_company(self):
        self.new_patient("Shared", self.east)  # of no company: fine
        with self.assertRaises(HealthUserError) as caught:
            self.new_patient("Mixed", self.east, company_id=self.company.id)
        self.assertEqual(caught.exception.code, "patient.clinic_company")

    def test_a_practitioner_by_name_gets_a_contact(self):
        practitioners = self.env["health.practitioner"].create(
            [
                {"name": "Dr. A", "email": "a@health.example"},
                {"partner_id": self.new_patient("Dr. B").id},
            ]
        )
        self.assertEqual(practitioners.mapped("name"), ["Dr. A", "Dr. B"])
        self.assertEqual(practitioners[0].partner_id.email, "a@health.example")

    def test_a_practitioner_is_named_as_the_contact(self):
        practitioner = self.env["health.practitioner"].create({"name": "Dr. A"})
        practitioner.partner_id.name = "Dr. Alba"
        self.assertEqual(practitioner.name, "Dr. Alba")
        practitioner.name = "Dr. Ada"
        self.assertEqual(practitioner.partner_id.name, "Dr. Ada")

    @mute_logger("odoo.sql_db")
    def test_codes_are_unique_where_they_are_used(self):
        lab = {"name": "Lab", "code": "LAB"}
        self.env["health.department"].create(
            [{**lab, "clinic_id": c.id} for c in (self.north, self.south)]
        )
        with self.assertRaises(errors.UniqueViolation):
            self.env["health.department"].create({**lab, "clinic_id": self.north.id})
        self.new_clinic("TST-N", self.other_company)
        with self.assertRaises(errors.UniqueViolation):
            self.new_clinic("TST-N", self.company)

    def test_a_clinic_counts_and_opens_its_patients(self):
        patients = self.new_patient("A", self.north) | self.new_patient("B", self.north)
        self.new_patient("C", self.south)
        self.assertEqual(self.north.patient_count, 2)
        action = self.north.action_open_patients()
        self.assertEqual(self.env["res.partner"].search(action["domain"]), patients)
