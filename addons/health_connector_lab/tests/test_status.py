"""What a result does to its order."""

from odoo.tests import tagged

from .common import BMP, CBC, FT4, TSH, LabCase
from .oru import Obr, Obx, patient


def cbc(status="F", at="", filler="", flags="N", **values):
    obx = Obx(status=status, flags=flags)
    return Obr(CBC, filler, status, at, **{"observations": (obx,), **values})


@tagged("post_install", "-at_install")
class TestStatus(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC)
        self.line = self.order.line_ids

    def assert_line(self, status, version, line=None):
        line = line or self.line
        self.assertEqual((line.result_status, line.result_version), (status, version))

    def test_a_final_result(self):
        posted = self.order.message_ids
        message = self.report(cbc(at=self.at(0), filler="F-1^LIS", flags="H"))
        self.assertEqual(message.state, "done")
        self.assertEqual(
            (message.res_model, message.res_id), ("health.lab.order", self.order.id)
        )
        self.assertEqual(self.order.state, "final")
        self.assertEqual(self.order.result_message_id, message)
        self.assert_line("final", 1)
        self.assertEqual(self.line.result_flag, "abnormal")
        self.assertEqual(self.line.filler_number, "F-1")
        self.assertEqual(self.line.filler_authority, "LIS")
        self.assertEqual(self.line.result_message_id, message)
        self.assertEqual(
            self.line.result_at, self.yesterday.replace(microsecond=0, tzinfo=None)
        )
        self.assertEqual(self.order.result_at, self.line.result_at)
        self.assertEqual(self.order.message_ids, posted)

    def test_local_times_are_those_of_the_laboratory(self):
        self.report(cbc(at="20250701120000"))
        self.assertEqual(str(self.line.result_at), "2025-07-01 16:00:00")

    def test_without_its_own_time_the_time_of_the_message_counts(self):
        for at in ("", "20250701", '""'):
            with self.subTest(at=at):
                self.report(cbc(at=at), sent="20250702120000+0000")
                self.assertEqual(str(self.line.result_at), "2025-07-02 12:00:00")

    def test_a_preliminary_result_becomes_final(self):
        self.report(cbc("P", self.at(0)))
        self.assert_line("preliminary", 1)
        self.assertEqual(self.order.state, "partial")
        self.report(cbc("F", self.at(1)))
        self.assert_line("final", 1)
        self.assertEqual(self.order.state, "final")

    def test_a_specimen_in_the_laboratory_is_no_result(self):
        self.report(cbc("I", self.at(0)))
        self.assert_line("registered", 0)
        self.assertEqual(self.order.state, "ordered")

    def test_some_observations_of_a_test(self):
        self.report(cbc("A", self.at(0), observations=(Obx("F"), Obx("P"))))
        self.assert_line("partial", 1)
        self.assertEqual(self.order.state, "partial")

    def test_a_late_preliminary_result_is_ignored(self):
        final = self.report(cbc("F", self.at(0)))
        late = self.report(cbc("P", self.at(1)))
        self.assert_ignored(late, "lab.stale_status")
        self.assertEqual(late.res_id, self.order.id)
        self.assert_line("final", 1)
        self.assertEqual(self.line.result_message_id, final)

    def test_an_older_result_is_ignored(self):
        self.report(cbc("F", self.at(5)))
        older = self.report(cbc("C", self.at(4)))
        self.assert_ignored(older, "lab.stale_time")
        self.assert_line("final", 1)

    def test_final_replaces_preliminary_even_with_an_earlier_time(self):
        self.report(cbc("P", self.at(5)))
        self.report(cbc("F", self.at(4)))
        self.assert_line("final", 1)

    def test_corrections_are_versions(self):
        self.report(cbc("F", self.at(0)))
        self.report(cbc("C", self.at(1)))
        self.assert_line("corrected", 2)
        self.assertEqual(self.order.state, "corrected")
        again = self.report(cbc("C", self.at(1)))
        self.assert_line("corrected", 2)
        self.assertEqual(self.line.result_message_id, again)
        self.report(cbc("C", self.at(2)))
        self.assert_line("corrected", 3)

    def test_a_final_result_after_a_correction_stays_corrected(self):
        self.report(cbc("F", self.at(0)))
        self.report(cbc("C", self.at(1)))
        self.report(cbc("F", self.at(2)))
        self.assert_line("corrected", 2)

    def test_a_withdrawn_result(self):
        self.report(cbc("F", self.at(0)))
        self.report(Obr(CBC, "", "F", self.at(0), (Obx("W"),)))
        self.assert_line("wrong", 2)
        self.assertFalse(self.line.result_flag)
        self.assertTrue(self.order.withdrawn)
        self.assertEqual(self.order.state, "ordered")
        found = self.env["health.lab.order"].search([("withdrawn", "=", True)])
        self.assertEqual(found, self.order)
        copy = self.report(cbc("F", self.at(0)))
        self.assert_ignored(copy, "lab.stale_time")
        self.report(cbc("F", self.at(1)))
        self.assert_line("final", 3)
        self.assertFalse(self.order.withdrawn)
        self.assertFalse(
            self.env["health.lab.order"].search([("withdrawn", "=", True)])
        )

    def test_deleted_observations(self):
        self.report(cbc(at=self.at(0), observations=(Obx(), Obx())))
        self.report(cbc(at=self.at(1), observations=(Obx(), Obx("D"))))
        self.assert_line("corrected", 2)
        self.report(cbc(at=self.at(2), observations=(Obx("D"), Obx("D"))))
        self.assert_line("wrong", 3)

    def test_a_cancelled_test(self):
        self.report(cbc("X", self.at(0)))
        self.assert_line("cancelled", 1)
        self.assertEqual(self.order.state, "cancelled")
        self.report(cbc("F", self.at(1)))
        self.assert_line("final", 2)
        self.assertEqual(self.order.state, "final")

    def test_the_gravest_flag_is_not_lost_by_a_part(self):
        both = (Obx(flags="HH"), Obx(flags="N"))
        self.report(cbc(at=self.at(0), observations=both))
        self.assertEqual(self.line.result_flag, "critical")
        self.report(cbc("C", self.at(1), observations=(Obx("C", "N"),)))
        self.assertEqual(self.line.result_flag, "critical")
        self.report(cbc("C", self.at(2), observations=(Obx("C", "N"), Obx("C", "L"))))
        self.assertEqual(self.line.result_flag, "abnormal")

    def test_flags_need_the_clinical_data_class(self):
        self.interface.data_classes = "administrative,identifier"
        self.report(cbc(flags="HH"))
        self.assert_line("final", 1)
        self.assertFalse(self.line.result_flag)


@tagged("post_install", "-at_install")
class TestSeveralTests(LabCase):
    def setUp(self):
        super().setUp()
        self.order = self.new_order("T-1", CBC, BMP, TSH)
        self.cbc, self.bmp, self.tsh = self.order.line_ids

    def test_partial_until_the_last(self):
        self.report(Obr(CBC, "F-1"))
        self.assertEqual(self.order.state, "partial")
        self.report(Obr(BMP, "F-2"), Obr(TSH, "F-3"))
        self.assertEqual(self.order.state, "final")
        self.assertEqual(
            self.order.line_ids.mapped("filler_number"), ["F-1", "F-2", "F-3"]
        )

    def test_one_correction_makes_the_order_corrected(self):
        self.report(Obr(CBC), Obr(BMP), Obr(TSH))
        self.report(Obr(BMP, status="C", observations=(Obx("C"),)))
        self.assertEqual(self.order.state, "corrected")
        self.assertEqual(self.cbc.result_version, 1)

    def test_a_cancelled_test_is_waited_for_no_more(self):
        self.report(Obr(CBC), Obr(BMP), Obr(TSH, status="X", observations=()))
        self.assertEqual(self.order.state, "final")

    def test_one_number_of_the_laboratory_for_several_tests(self):
        self.report(Obr(CBC, "F-1"), Obr(BMP, "F-1", "P", observations=(Obx("P"),)))
        self.report(Obr(BMP, "F-1"), Obr(TSH, "F-1"), placer="")
        self.assertEqual(self.order.state, "final")
        self.assertEqual(len(self.order.line_ids), 3)

    def test_a_code_in_two_systems(self):
        self.report(Obr(f"HB^local^L^{CBC}^loinc^LN"))
        self.assertEqual(self.cbc.result_status, "final")

    def test_a_reflex_test_is_added(self):
        self.report(Obr(CBC), Obr(BMP), Obr(TSH))
        self.report(Obr(FT4, "F-9", "P", observations=(Obx("P"),)))
        added = self.order.line_ids - self.cbc - self.bmp - self.tsh
        self.assertTrue(added.added_by_lab)
        self.assertEqual(added.product_id, self.products[FT4])
        self.assertEqual((added.code, added.result_status), (FT4, "preliminary"))
        self.assertEqual(self.order.state, "partial")
        self.report(Obr(FT4, "F-9"))
        self.assertEqual(added.result_status, "final")
        self.assertEqual(self.order.state, "final")

    def test_a_test_nobody_knows_is_added_without_product(self):
        self.report(Obr("99999-9"))
        added = self.order.line_ids.filtered("added_by_lab")
        self.assertEqual((added.code, added.product_id.ids), ("99999-9", []))

    def test_a_test_done_again_under_a_new_number_is_added(self):
        self.report(Obr(CBC, "F-1"))
        self.report(Obr(CBC, "F-2", "P", observations=(Obx("P"),)))
        self.assertEqual(self.cbc.result_status, "final")
        again = self.order.line_ids.filtered("added_by_lab")
        self.assertEqual((again.code, again.filler_number), (CBC, "F-2"))
        message = self.report(Obr(CBC))
        self.assert_parked(message, "lab.line_ambiguous")

    def test_a_message_is_old_only_if_all_of_it_is(self):
        self.report(Obr(CBC, at=self.at(1)))
        late = Obr(CBC, status="P", at=self.at(2), observations=(Obx("P"),))
        message = self.report(late, Obr(BMP, at=self.at(2)))
        self.assertEqual(message.state, "done")
        self.assertEqual(self.cbc.result_status, "final")
        self.assertEqual(self.bmp.result_status, "final")

    def test_two_patients_in_one_message(self):
        second = self.new_order("T-2", CBC, partner=self.john)
        of_john = (patient("MRN2"), (Obr(CBC, placer="T-2"),))
        self.report(Obr(CBC), more=(of_john,))
        self.assertEqual(self.cbc.result_status, "final")
        self.assertEqual(second.state, "final")
        self.assertEqual(self.bmp.result_status, "ordered")
