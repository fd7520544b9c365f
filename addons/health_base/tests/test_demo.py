from odoo.tests import TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """The demo data others build on: counts, codes and numbers are a promise."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.env.ref("base.module_health_base").demo:
            cls.skipTest(cls, "installed without demo data")

    def records(self, prefix, numbers):
        return [self.env.ref(f"health_base.{prefix}_{n}") for n in numbers]

    def test_three_clinics_in_three_time_zones(self):
        clinics = self.records("clinic", ("nor", "har", "hil"))
        self.assertEqual([c.code for c in clinics], ["NOR", "HAR", "HIL"])
        self.assertEqual(len({c.tz for c in clinics}), 3)
        self.assertTrue(all(len(c.department_ids) >= 3 for c in clinics))

    def test_eight_practitioners(self):
        practitioners = self.records("practitioner", range(1, 9))
        self.assertTrue(all(p.name and p.specialty for p in practitioners))
        self.assertTrue(all(p.clinic_ids for p in practitioners))

    def test_sixty_patients_found_by_their_number(self):
        patients = self.records("patient", (f"{n:03d}" for n in range(1, 61)))
        wanted = [("HEALTHGROUP", "MR", f"MRN{100000 + n}") for n in range(1, 61)]
        found = self.env["health.identifier"]._lookup(
            self.env.ref("base.main_company"), wanted
        )
        self.assertEqual([found[key] for key in wanted], patients)
        self.assertEqual(len({p.name for p in patients}), 60)
        for patient in patients:
            self.assertTrue(patient.is_patient)
            self.assertTrue(patient.birth_date and patient.lang and patient.tz)
        clinics = self.records("clinic", ("nor", "har", "hil"))
        homes = [p.clinic_id for p in patients]
        self.assertEqual([homes.count(clinic) for clinic in clinics], [20, 20, 20])
        self.assertEqual(homes[:3], clinics)

    def test_nothing_leads_to_a_real_person(self):
        """Mail to reserved domains only, telephone numbers kept for fiction."""
        partners = self.env["ir.model.data"].search(
            [("module", "=", "health_base"), ("model", "=", "res.partner")]
        )
        people = self.env["res.partner"].browse(partners.mapped("res_id"))
        self.assertTrue(
            all(email.endswith(".example") for email in people.mapped("email"))
        )
        self.assertTrue(all("-555-01" in phone for phone in people.mapped("phone")))
