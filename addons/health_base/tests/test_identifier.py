import inspect
from unittest.mock import patch

from psycopg2 import errors

from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..exceptions import HealthUserError
from .common import HealthCase


@tagged("post_install", "-at_install")
class TestUniqueness(HealthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ada = cls.new_patient("Ada Proxyman", cls.north)
        cls.alba = cls.new_patient("Alba Mockridge", cls.south)
        cls.first = cls.new_identifier(cls.ada, "TMR 900-1")

    def assert_in_use(self, call, *args, **kwargs):
        with self.assertRaises(HealthUserError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.code, "identifier.in_use")
        self.assertEqual(caught.exception.error_class, "conflict")
        self.assertNotIn("900", str(caught.exception))

    def test_one_number_of_one_authority_is_one_person(self):
        self.assert_in_use(self.new_identifier, self.alba, "TMR 900-1")

    def test_case_and_spaces_make_no_other_number(self):
        self.assert_in_use(
            self.new_identifier, self.alba, " tmr900 -1\u00a0", system="TestLab "
        )

    def test_another_authority_type_or_company_is_another_identifier(self):
        others = (
            self.new_identifier(self.alba, "TMR 900-1", system="OTHERLAB")
            | self.new_identifier(self.alba, "TMR 900-1", type="PI")
            | self.new_identifier(
                self.alba, "TMR 900-1", company_id=self.other_company.id
            )
        )
        self.assertEqual(len(others), 3)

    def test_twice_in_one_batch(self):
        row = {"partner_id": self.alba.id, "system": "TESTLAB", "value": "TMR 900-2"}
        self.assert_in_use(
            self.env["health.identifier"].create, [row, {**row, "value": "tmr900-2"}]
        )

    def test_changing_a_number_into_one_in_use(self):
        second = self.new_identifier(self.alba, "TMR 900-3")
        self.assert_in_use(second.write, {"value": "tmr 900-1"})
        second.write({"value": "tmr 900-3"})  # its own number is no conflict

    def test_one_number_for_several_records(self):
        second = self.new_identifier(self.alba, "TMR 900-3")
        self.assert_in_use((self.first | second).write, {"value": "TMR 900-4"})

    def test_an_archived_number_is_not_given_away(self):
        self.first.active = False
        self.assert_in_use(self.new_identifier, self.alba, "TMR 900-1")

    def test_the_database_decides_a_race(self):
        """Two transactions that both passed the check: the constraint holds."""
        model = type(self.env["health.identifier"])
        with (
            patch.object(model, "_refuse_in_use"),
            mute_logger("odoo.sql_db"),
            self.assertRaises(errors.UniqueViolation),
        ):
            self.new_identifier(self.alba, "tmr900-1")

    def test_a_refused_number_is_not_logged(self):
        with self.assertNoLogs("odoo", "WARNING"):
            self.assert_in_use(self.new_identifier, self.alba, "TMR 900-1")

    def test_blank_parts_are_refused(self):
        for blank in ({"system": " "}, {"type": ""}, {"value": "\u00a0"}):
            values = {"partner_id": self.ada.id, "system": "X", "value": "1", **blank}
            with self.subTest(blank=blank), self.assertRaises(HealthUserError) as exc:
                self.env["health.identifier"].create(values)
            self.assertEqual(exc.exception.code, "identifier.blank")
            self.assertEqual(exc.exception.params, {"fields": list(blank)})


@tagged("post_install", "-at_install")
class TestBlindIndex(HealthCase):
    def test_the_clear_number_is_stored_once(self):
        """No other text column of the database holds it, not even chatter."""
        patient = self.new_patient("Ada Proxyman", self.north)
        self.new_identifier(patient, "UNIQ7391XYZ").write({"value": "UNIQ7392XYZ"})
        self.assertTrue(self.find("UNIQ7392XYZ"))
        self.env.flush_all()
        self.assertEqual(self.columns_with("UNIQ739"), ["health_identifier.value"])

    def columns_with(self, text):
        columns = self.env.execute_query(
            SQL(
                """SELECT c.table_name, c.column_name
                     FROM information_schema.columns c
                     JOIN information_schema.tables t USING (table_schema, table_name)
                    WHERE c.table_schema = current_schema()
                      AND t.table_type = 'BASE TABLE'
                      AND c.data_type IN ('text', 'character varying', 'jsonb')"""
            )
        )
        tables = {}
        for table, column in columns:
            tables.setdefault(table, []).append(column)
        return [
            f"{table}.{column}"
            for table, names in tables.items()
            for column in self.holding(table, names, text)
        ]

    def holding(self, table, names, text):
        counts = SQL(", ").join(
            SQL("bool_or(%s::text LIKE %s)", SQL.identifier(name), f"%{text}%")
            for name in names
        )
        query = SQL("SELECT %s FROM %s", counts, SQL.identifier(table))
        (row,) = self.env.execute_query(query)
        return [name for name, found in zip(names, row, strict=True) if found]

    def find(self, value, system="TESTLAB", kind="MR"):
        return self.env["res.partner"]._health_find_by_identifier(
            self.company, system, kind, value
        )

    def test_the_hash_follows_the_number(self):
        patient = self.new_patient("Ada Proxyman")
        identifier = self.new_identifier(patient, "TMR 1")
        self.assertEqual(self.find("tmr1"), patient)
        identifier.value = "TMR 2"
        self.assertEqual(self.find("TMR2"), patient)
        self.assertFalse(self.find("TMR1"))

    def test_a_given_hash_is_ignored(self):
        patient = self.new_patient("Ada Proxyman")
        identifier = self.new_identifier(patient, "TMR 1", value_blind="forged")
        identifier.sudo().write({"value_blind": "forged"})
        self.assertEqual(len(identifier.sudo().value_blind), 22)
        self.assertEqual(self.find("TMR1"), patient)

    def test_the_hash_is_for_the_server_only(self):
        user = self.new_user("t-hash", "health_base.group_user,base.group_system")
        identifier = self.new_identifier(self.new_patient("Ada Proxyman"), "TMR 1")
        with self.assertRaises(AccessError):
            identifier.with_user(user).read(["value_blind"])
        self.assertNotIn("value_blind", identifier.with_user(user).fields_get())

    def test_an_archived_number_finds_nobody(self):
        identifier = self.new_identifier(self.new_patient("Ada Proxyman"), "TMR 1")
        identifier.active = False
        self.assertFalse(self.find("TMR 1"))

    def test_an_oid_is_one_authority_in_both_spellings(self):
        patient = self.new_patient("Ada Proxyman")
        self.new_identifier(patient, "TMR 1", system="urn:oid:2.16.840.1.999")
        self.assertEqual(self.find("TMR 1", system="2.16.840.1.999"), patient)

    def test_namesakes_are_told_apart_by_number_only(self):
        same = {"name": "Ada Proxyman", "birth_date": "1980-02-29"}
        one = self.new_patient(number="TMR 1", **same)
        two = self.new_patient(number="TMR 2", **same)
        self.assertEqual(self.find("TMR 1"), one)
        self.assertEqual(self.find("TMR 2"), two)

    def test_there_is_no_look_up_by_name_or_birth_date(self):
        parameters = {
            parameter
            for model in ("res.partner", "health.identifier")
            for name, method in inspect.getmembers(type(self.env[model]))
            if name.startswith(("_health_find", "_lookup", "_holders"))
            for parameter in inspect.signature(method).parameters
        }
        self.assertLessEqual(
            parameters,
            {"self", "company", "companies", "system", "type", "value", "values"}
            | {"wanted"},
        )
        self.assertIn("wanted", parameters)


@tagged("post_install", "-at_install")
class TestLookup(HealthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patients = [
            cls.new_patient(f"Patient {n}", cls.north, f"TMR {n}") for n in range(50)
        ]

    def test_a_batch_takes_one_query(self):
        wanted = [("testlab", "mr", f"tmr{n}") for n in range(50)]
        wanted += [("TESTLAB", "MR", f"unknown {n}") for n in range(50)]
        lookup = self.env["health.identifier"]._lookup
        lookup(self.company, wanted[:1])  # warm: key ring, field caches
        self.env.invalidate_all()
        with self.assertQueryCount(1):
            found = lookup(self.company, wanted)
        self.assertEqual([found[key] for key in wanted[:50]], self.patients)
        self.assertEqual(len(found), 50)

    def test_the_answer_is_keyed_as_asked(self):
        keys = [("TESTLAB", "MR", "TMR 7"), ("testlab", "MR", " tmr7")]
        found = self.env["health.identifier"]._lookup(self.company, keys)
        self.assertEqual(found, dict.fromkeys(keys, self.patients[7]))

    def test_other_authority_type_or_company_is_no_match(self):
        lookup = self.env["health.identifier"]._lookup
        for key in (("OTHERLAB", "MR", "TMR 7"), ("TESTLAB", "PI", "TMR 7")):
            self.assertEqual(lookup(self.company, [key]), {})
        key = ("TESTLAB", "MR", "TMR 7")
        self.assertEqual(lookup(self.other_company, [key]), {})

    def test_blank_parts_match_nobody(self):
        keys = [("", "MR", "TMR 7"), ("TESTLAB", "MR", " "), ("TESTLAB", "MR", None)]
        self.assertEqual(self.env["health.identifier"]._lookup(self.company, keys), {})
        self.assertEqual(self.env["health.identifier"]._lookup(self.company, []), {})

    def test_a_connector_finds_patients_of_every_clinic(self):
        user = self.new_user("t-south", clinics=self.south)
        identifiers = self.env["health.identifier"].with_user(user)
        key = ("TESTLAB", "MR", "TMR 7")
        partner = identifiers._lookup(self.company, [key])[key]
        self.assertEqual(partner.env.user, user)
        with self.assertRaises(AccessError):  # found, yet still not readable
            partner.read(["name"])


@tagged("post_install", "-at_install")
class TestSearch(HealthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ada = cls.new_patient("Ada Proxyman", cls.north, "TMR 8001")
        cls.alba = cls.new_patient("Alba Mockridge", cls.south, "TMR 8002")
        cls.clerk = cls.new_user("t-clerk", clinics=cls.north)

    def search(self, operator, value, user=None):
        partners = self.env["res.partner"].with_user(user or self.env.user)
        return partners.search([("health_identifier", operator, value)])

    def test_the_whole_number_finds_the_person(self):
        for operator in ("=", "ilike"):
            self.assertEqual(self.search(operator, "tmr8001"), self.ada)
        self.assertEqual(
            self.search("in", ["TMR8001", "TMR8002"]), self.ada | self.alba
        )

    def test_a_part_of_the_number_finds_nobody(self):
        self.assertFalse(self.search("ilike", "TMR 80"))

    def test_not_this_number(self):
        others = self.search("!=", "TMR 8001")
        self.assertIn(self.alba, others)
        self.assertNotIn(self.ada, others)

    def test_only_persons_one_may_see(self):
        self.assertEqual(self.search("=", "TMR 8001", self.clerk), self.ada)
        self.assertFalse(self.search("=", "TMR 8002", self.clerk))

    @mute_logger("odoo.orm.models", "odoo.addons.base.models.ir_model")
    def test_not_for_users_outside_health(self):
        """No probing either: a search condition is as good as reading."""
        user = self.new_user("t-out", "base.group_user")
        partners = self.env["res.partner"].with_user(user)
        for field, value in (
            ("health_identifier", "TMR 8001"),
            ("identifier_ids", "TMR 8001"),
            ("identifier_ids.value", "TMR 8001"),
            ("birth_date", "1980-02-29"),
        ):
            with self.subTest(field=field), self.assertRaises(AccessError):
                partners.search([(field, "=", value)])

    def test_the_record_number_is_shown_first(self):
        self.new_identifier(self.ada, "X 1", type="PPN")
        self.assertEqual(self.ada.health_identifier, "TMR 8001")
        self.ada.identifier_ids.filtered(lambda i: i.type == "MR").active = False
        self.ada.invalidate_recordset()
        self.assertEqual(self.ada.health_identifier, "X 1")
