"""The look-ups of a batch take the same number of queries, however large it is."""

from functools import partial

from odoo.tests import tagged

from .common import BMP, CBC, LabCase
from .oru import Obr, Oru, patient

SIZES = (2, 40)


@tagged("post_install", "-at_install")
class TestPrefetch(LabCase):
    def queries(self, work):
        """How many queries something takes on a cold cache."""
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        result = work()
        return self.env.cr.sql_log_count - before, result

    def documents(self, size):
        codec = self.env["health.codec.hl7v2"]
        for number in range(size):
            raw = Oru(
                f"P{number}",
                f"P-{number}",
                patient(f"PMRN{number}"),
                (Obr(CBC, f"PF-{number}"), Obr(BMP, f"PG-{number}"), Obr("99999-9")),
                facility="LTN",
            ).render()
            yield self.interface._translated(codec._decode(raw, ""))

    def test_constant_number_of_queries(self):
        for number in range(max(SIZES)):
            partner = self.new_patient(f"P {number}", f"PMRN{number}")
            order = self.new_order(f"P-{number}", CBC, BMP, partner=partner)
            self.env["health.binding"]._store(
                self.backend,
                [
                    (
                        "health.lab.order.line",
                        order.line_ids[0].id,
                        f"PF-{number}^LTLAB",
                        "1",
                        None,
                    )
                ],
            )
        handler = self.env["health.handler.lab.result"].with_company(self.company)
        counts = []
        for size in SIZES:
            documents = list(self.documents(size))
            look_up = partial(handler._prefetch, self.interface, documents)
            self.queries(look_up)
            count, known = self.queries(look_up)
            counts.append(count)
            self.assertEqual(len(known.orders), size)
            self.assertEqual(len(known.lines), size)
            self.assertEqual(len(known.patients), size)
            self.assertTrue(known.clinics and known.products)
        self.assertEqual(counts[0], counts[1])
        self.assertLessEqual(counts[1], 12)

    def test_applying_reads_nothing_more(self):
        for number in range(max(SIZES)):
            partner = self.new_patient(f"P {number}", f"PMRN{number}")
            self.new_order(f"P-{number}", CBC, BMP, partner=partner)
        reads = []
        for size in SIZES:
            for document_order in range(size):
                self.accept(
                    Oru(
                        f"S{size}-{document_order}",
                        f"P-{document_order}",
                        patient(f"PMRN{document_order}"),
                        (Obr(CBC), Obr(BMP)),
                    )
                )
            self.env.flush_all()
            reads.append(self.selects(self.drain))
        self.assertEqual(reads[0], reads[1])

    def selects(self, work):
        """How many SELECTs of the drain's own cursor look at orders or lines."""
        cr_class, seen = type(self.env.cr), []
        execute = cr_class.execute

        def spy(cursor, query, *args, **kwargs):
            text = str(getattr(query, "code", query))
            if text.lstrip().upper().startswith("SELECT") and "health_lab" in text:
                seen.append(text)
            return execute(cursor, query, *args, **kwargs)

        self.patch(cr_class, "execute", spy)
        work()
        self.patch(cr_class, "execute", execute)
        return len(seen)
