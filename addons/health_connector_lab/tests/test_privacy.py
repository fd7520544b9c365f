"""No name and no value of a message leaves the sealed payload."""

import logging

from odoo.tests import tagged
from odoo.tools import SQL

from .common import BMP, CBC, LabCase
from .oru import Obr, Obx, patient

NAME, VALUE, NUMBER = "ZZNAMEZZ", "ZZVALUEZZ", "ZZNUMBERZZ"


class _Listener(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.getMessage()} {record.exc_info} {record.exc_text}")


@tagged("post_install", "-at_install")
class TestPrivacy(LabCase):
    def send_everything(self):
        """A message for each way that a message can go."""
        marked = {"name": f"{NAME}^{NAME}", "facility": NAME}
        obx = Obx(value=VALUE, code=f"1^{VALUE}^L")
        wrong = Obx("W", value=VALUE)
        known = f"{patient('MRN1')}~{patient(NUMBER, 'LIS')}"
        states = [
            self.report(*tests, **{"identifiers": known, **marked, **values}).state
            for tests, values in (
                ([Obr(f"{CBC}^{VALUE}", "F-1", observations=(obx,))], {}),
                ([Obr(CBC, "F-1", "P", observations=(obx,))], {}),
                ([Obr(CBC, "F-1", "C", observations=(wrong,))], {}),
                ([Obr(BMP, "F-2", observations=(obx,))], {}),
                ([Obr(CBC, observations=(obx,))], {"placer": "T-404"}),
                (
                    [Obr(CBC, "F-5", observations=(obx,))],
                    {"placer": "T-2", "identifiers": patient(NUMBER)},
                ),
                ([Obr(CBC, "F-6", observations=(obx,))], {"placer": "T-3"}),
                ([Obr(CBC, status=VALUE, observations=(obx,))], {"placer": "T-5"}),
                ([Obr(CBC, at=VALUE, observations=(obx,))], {"placer": "T-6"}),
                ([Obr("", observations=(obx,))], {"placer": "T-7"}),
                ([Obr(CBC, observations=(Obx(VALUE, VALUE),))], {"placer": "T-8"}),
            )
        ]
        self.assertEqual(
            states,
            ["done", "ignored", "done", "done", *["parked"] * 7],
        )

    def test_markers_are_nowhere_in_the_clear(self):
        self.new_order("T-1", CBC)
        self.new_order("T-2", CBC)
        self.new_order("T-3", CBC, partner=self.john)
        listener = _Listener()
        root = logging.getLogger()
        root.addHandler(listener)
        self.addCleanup(root.removeHandler, listener)
        self.send_everything()
        self.env.flush_all()
        for marker in (NAME, VALUE, NUMBER):
            self.assertEqual(self.tables_with(marker), [])
            self.assertNotIn(marker, "\n".join(listener.lines))
            for exception in self.env["health.exception"].search([]):
                texts = (exception.title, exception.explanation, exception.next_step)
                self.assertNotIn(marker, " ".join(map(str, texts)))

    def test_the_search_does_find_what_is_in_the_clear(self):
        self.assertIn("res_partner", self.tables_with("ZZJANE"))

    def tables_with(self, marker):
        """Tables of the database, the sealed one included, that hold a text."""
        cr = self.env.cr
        cr.execute(
            """SELECT relname FROM pg_class
                WHERE relkind = 'r'
                  AND relnamespace = current_schema()::regnamespace"""
        )
        found = []
        for (table,) in cr.fetchall():
            query = SQL(
                "SELECT 1 FROM %s t WHERE t::text LIKE %s LIMIT 1",
                SQL.identifier(table),
                f"%{marker}%",
            )
            cr.execute(query)
            if cr.fetchone():
                found.append(table)
        return found
