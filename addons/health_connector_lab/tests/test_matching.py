"""Which order a result belongs to, whose it is, and what staff are told if neither
is certain."""

from odoo.tests import tagged

from .common import BMP, CBC, LabCase
from .oru import Obr, Obx, Oru, patient


@tagged("post_install", "-at_install")
class TestOrder(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC)
        self.line = self.order.line_ids

    def test_an_unknown_order_names_clinic_and_number(self):
        message = self.report(placer="T-404", facility="ltn")
        exception = self.assert_parked(message, "lab.order_unknown")
        self.assertEqual(
            exception.title, "Result for order T-404 of Clinic LTN: no such order here"
        )
        self.assertEqual(exception.clinic_id, self.clinic)
        self.assertIn("T-404", exception.explanation)
        self.assertIn("Lab ltlab", exception.explanation)
        self.assertIn("Process again", exception.next_step)
        self.assertEqual(exception.error_class, "mapping")

    def test_a_place_that_is_no_clinic_is_not_repeated(self):
        message = self.report(placer="T-404", facility="ZZJANE ZZDOE")
        exception = self.assert_parked(message, "lab.order_unknown")
        self.assertFalse(exception.clinic_id)
        for text in (exception.title, exception.explanation, str(exception.subject)):
            self.assertNotIn("ZZ", text)

    def test_each_unknown_order_is_a_work_item_of_its_own(self):
        first = self.report(placer="T-404").exception_id
        second = self.report(placer="T-405").exception_id
        again = self.report(placer="T-404", sent=self.at(9)).exception_id
        self.assertNotEqual(first, second)
        # behind the parked first one: it waits for it
        self.assertFalse(again)

    def test_when_the_order_is_entered_the_result_is_applied(self):
        message = self.report(Obr(BMP), placer="T-404")
        exception = message.exception_id
        order = self.new_order("T-404", BMP)
        message.action_process_again()
        self.drain()
        self.assertEqual((message.state, order.state), ("done", "final"))
        self.assertEqual(exception.state, "closed")

    def test_a_number_of_another_authority_is_not_ours(self):
        message = self.report(authority="ELSEWHERE")
        self.assert_parked(message, "lab.order_unknown")

    def test_a_company_without_authority_takes_any(self):
        self.company.lab_placer_authority = False
        self.report(authority="ELSEWHERE")
        self.assertEqual(self.order.state, "final")

    def test_case_of_the_authority_does_not_matter(self):
        self.report(authority="healthgroup")
        self.assertEqual(self.order.state, "final")

    def test_a_number_without_authority_is_ours(self):
        self.report(authority="")
        self.assertEqual(self.order.state, "final")

    def test_orders_of_another_company_are_out_of_reach(self):
        other = self.env["res.company"].create({"name": "Other"})
        clinic = (
            self.env["health.clinic"]
            .sudo()
            .create({"name": "Far", "code": "FAR", "company_id": other.id})
        )
        foreign = self.env["health.lab.order"].create(
            {
                "placer_number": "T-404",
                "partner_id": self.jane.id,
                "clinic_id": clinic.id,
                "company_id": other.id,
                "state": "ordered",
            }
        )
        message = self.report(placer="T-404")
        self.assert_parked(message, "lab.order_unknown")
        self.assertEqual(foreign.state, "ordered")

    def test_the_number_of_the_laboratory_finds_the_order(self):
        self.report(Obr(CBC, "F-1^LIS", "P", observations=(Obx("P"),)))
        self.report(Obr(CBC, "F-1^LIS"), placer="")
        self.assertEqual(self.order.state, "final")
        binding = (
            self.env["health.binding"]
            .search([("res_model", "=", "health.lab.order.line")])
            .filtered(lambda each: each.backend_id == self.backend)
        )
        self.assertEqual(binding.res_id, self.line.id)
        self.assertEqual(binding.version, "1")

    def test_the_same_number_of_another_laboratory_does_not(self):
        self.report(Obr(CBC, "F-1^LIS"))
        message = self.report(Obr(CBC, "F-1^OTHERLIS"), placer="")
        exception = self.assert_parked(message, "lab.order_unknown")
        self.assertIn("F-1", exception.title)
        backend = self.new_backend("ltlab2")
        interface = self.new_interface(backend)
        message = self.report(Obr(CBC, "F-1^LIS"), placer="", interface=interface)
        self.assert_parked(message, "lab.order_unknown")

    def test_a_number_of_a_test_that_is_gone(self):
        self.report(Obr(CBC, "F-1^LIS"))
        self.line.result_status = "ordered"
        self.line.unlink()
        message = self.report(Obr(CBC, "F-1^LIS"), placer="")
        self.assert_parked(message, "lab.order_unknown")

    def test_two_numbers_that_disagree(self):
        self.new_order("T-2", CBC)
        self.report(Obr(CBC, "F-1"))
        message = self.report(Obr(CBC, "F-1"), placer="T-2")
        exception = self.assert_parked(message, "lab.filler_conflict")
        self.assertEqual(exception.error_class, "conflict")
        self.assertIn("T-2", exception.title)
        self.assertIn("T-1", exception.next_step)

    def test_a_known_number_of_the_laboratory_does_not_replace_ours(self):
        self.report(Obr(CBC, "F-1", at=self.at(0)))
        correction = Obr(CBC, "F-1", "C", self.at(1), (Obx("C"),))
        message = self.report(correction, placer="T-404")
        self.assert_parked(message, "lab.filler_conflict")
        self.assertEqual(self.line.result_status, "final")

    def test_it_does_where_the_other_number_is_not_ours(self):
        self.report(Obr(CBC, "F-1", "P", observations=(Obx("P"),)))
        self.report(Obr(CBC, "F-1"), placer="X-1", authority="REFERRER")
        self.assertEqual(self.order.state, "final")

    def test_neither_number(self):
        message = self.report(Obr(CBC), placer="")
        self.assert_parked(message, "contract.invalid")

    def test_all_of_a_message_or_nothing(self):
        message = self.report(Obr(CBC), Obr(CBC, placer="T-404"))
        exception = self.assert_parked(message, "lab.order_unknown")
        self.assertIn("T-404", exception.title)
        self.assertEqual(self.line.result_status, "ordered")

    def test_a_cancelled_order(self):
        self.order.action_cancel()
        message = self.report()
        exception = self.assert_parked(message, "lab.order_cancelled")
        self.assertIn("Clinic LTN", exception.next_step)
        self.order.action_reopen()
        message.action_process_again()
        self.drain()
        self.assertEqual(self.order.state, "final")

    def test_an_order_of_another_laboratory(self):
        self.order.backend_id = self.new_backend("ltlab2")
        self.assert_parked(self.report(), "lab.order_foreign")
        self.assertEqual(self.order.state, "ordered")

    def test_a_result_without_status(self):
        message = self.report(Obr(CBC, status="", observations=(Obx(""),)))
        self.assert_parked(message, "lab.status_missing")

    def test_a_status_nobody_knows(self):
        message = self.report(Obr(CBC, status="Q"))
        self.assert_parked(message, "mapping.convert")
        self.assertEqual(
            message.exception_id.params["target"], "reports[].orders[].status"
        )

    def test_a_time_in_the_future(self):
        message = self.report(Obr(CBC, at="20991231"), sent="20991231120000")
        self.assert_parked(message, "lab.time_future")
        self.assertFalse(self.line.result_at)

    def test_the_same_message_again(self):
        raw = Oru("SAME", "T-1", patient("MRN1")).render()
        first, second = self.accept(raw), self.accept(raw)
        self.assertEqual(first, second)
        self.drain()
        self.assertEqual(self.line.result_version, 1)

    def test_the_same_control_id_with_other_content(self):
        first = self.accept(Oru("SAME", "T-1", patient("MRN1")))
        other = self.accept(
            Oru("SAME", "T-1", patient("MRN1"), (Obr(CBC, status="X"),))
        )
        self.drain()
        self.assertEqual(first.state, "done")
        self.assert_parked(other, "message.key_reused")
        self.assertEqual(self.order.state, "final")


@tagged("post_install", "-at_install")
class TestPatient(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC)

    def assert_refused(self, code, identifiers, **values):
        message = self.report(identifiers=identifiers, **values)
        exception = self.assert_parked(message, code)
        self.assertIn("T-1", exception.title)
        self.assertIn("Clinic LTN", exception.title)
        self.assertTrue(exception.next_step)
        self.assertEqual(self.order.state, "ordered")
        return message

    def test_any_one_of_several_numbers(self):
        self.report(identifiers=f"X9^^^LIS^PI~{patient('mrn1')}~^^^PAYER")
        self.assertEqual(self.order.state, "final")

    def test_an_authority_known_by_its_oid(self):
        self.new_identifier(self.jane, "77", "2.16.840.1.99")
        self.report(identifiers="77^^^&2.16.840.1.99&ISO^MR")
        self.assertEqual(self.order.state, "final")

    def test_a_number_without_type_is_a_medical_record_number(self):
        self.report(identifiers="MRN1^^^HEALTHGROUP")
        self.assertEqual(self.order.state, "final")

    def test_an_unknown_number(self):
        message = self.assert_refused("lab.patient_unknown", patient("MRN404"))
        self.new_identifier(self.jane, "MRN404")
        message.action_process_again()
        self.drain()
        self.assertEqual(self.order.state, "final")

    def test_the_name_alone_is_never_enough(self):
        same_name = {"name": "ZZDOE^ZZJANE"}
        self.assert_refused("lab.patient_unknown", patient("X"), **same_name)

    def test_a_number_without_authority_is_anybodys(self):
        self.assert_refused("lab.patient_unknown", "MRN1")

    def test_the_same_number_of_another_authority(self):
        self.assert_refused("lab.patient_unknown", patient("MRN1", "LIS"))

    def test_another_patient(self):
        self.assert_refused("lab.patient_mismatch", patient("MRN2"))

    def test_a_second_number_of_another_patient(self):
        both = f"{patient('MRN1')}~{patient('MRN2')}"
        self.assert_refused("lab.patient_mismatch", both)

    def test_no_number_at_all(self):
        message = self.report(identifiers="")
        self.assert_parked(message, "contract.invalid")
