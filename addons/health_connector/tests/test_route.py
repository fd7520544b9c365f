"""One accepted message feeds several interfaces, as the rules said at the door."""

import json

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..lib import route
from ..lib.accept import Channel, Incoming, accept
from .common import ConnectorCase


class RouteCase(ConnectorCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archive = cls._interface("archive")
        cls.north, cls.south = cls.env["health.clinic"].create(
            [{"name": name, "code": name} for name in ("North", "South")]
        )

    @classmethod
    def _interface(cls, code, **values):
        return cls.interface.copy(
            {"code": code, "name": code, "state": "live"} | values
        )

    def _route(self, **values):
        return self.env["health.route"].create(
            {"entry_id": self.interface.id, "target_id": self.archive.id} | values
        )

    def _accept(self, body, key="k1"):
        """As a door does: with the routes of the entry interface."""
        entry = self.interface
        entry.flush_recordset()
        channel = Channel(entry.id, self.backend.id, entry.company_id.id)
        read = lambda source: str(body.get(source) or "")  # noqa: E731
        unit = Incoming(
            channel,
            json.dumps(body).encode(),
            dedupe_key=key,
            order_key=body["order_no"],
            message_type="demo",
            **route.keys(entry.route_table, read),
        )
        return accept(self.env.cr, self.ring, [unit])[0]

    def _copies(self, receipt):
        return self.env["health.message"].search(
            [("origin_id", "=", receipt.message_id)], order="id"
        )


@tagged("post_install", "-at_install")
class TestRoute(RouteCase):
    def test_a_copy_is_stored_with_the_message(self):
        way = self._route()
        receipt = self._accept(self.body())
        copy = self._copies(receipt)
        first = self.message(receipt)
        self.assertEqual(copy.interface_id, self.archive)
        self.assertEqual(copy.route_id, way)
        self.assertEqual(copy.state, "pending")
        self.assertEqual(copy.sudo().order_key, first.sudo().order_key)
        self.assertFalse(copy.payload_ids)

    def test_a_copy_is_applied_from_the_bytes_of_its_origin(self):
        self._route()
        receipt = self._accept(self.body())
        names = []
        with self.naming(names):
            self.drain()
        self.assertEqual(names, ["LAB-1", "LAB-1"])
        self.assertEqual(self._copies(receipt).state, "done")

    def test_a_duplicate_makes_no_second_copy(self):
        self._route()
        receipt = self._accept(self.body())
        self.assertEqual(self._accept(self.body()).verdict, "duplicate")
        self.assertEqual(len(self._copies(receipt)), 1)

    def test_rules_are_frozen_when_a_message_is_accepted(self):
        way = self._route()
        receipt = self._accept(self.body())
        way.mode = "off"
        self.assertEqual(self._accept(self.body()).verdict, "duplicate")
        self.assertEqual(self._copies(receipt).state, "pending")
        self.assertFalse(self._copies(self._accept(self.body(2), "k2")))

    def test_conditions_choose(self):
        self._route(
            condition_ids=[
                (0, 0, {"source": "test", "operator": "in", "values": "CBC, BMP"})
            ]
        )
        self.assertTrue(self._copies(self._accept(self.body())))
        other = self._accept(self.body(2, test="TSH"), "k2")
        self.assertFalse(self._copies(other))

    def test_one_clinic_after_the_other(self):
        self._route(
            mode="off",
            clinic_source="clinic",
            clinic_ids=[(0, 0, {"clinic_id": self.north.id, "mode": "shadow"})],
        )
        north = self._accept(self.body(1, clinic="North"))
        self.assertTrue(self._copies(north).is_shadow)
        self.assertFalse(self._copies(self._accept(self.body(2, clinic="South"), "k2")))

    def test_an_entry_that_is_off_keeps_the_message_and_applies_nothing(self):
        self._route(target_id=self.interface.id, mode="off")
        receipt = self._accept(self.body())
        self.assertEqual(self.message(receipt).state, "ignored")
        self.assertEqual(self.message(receipt).reason, "route.off")
        self.assertTrue(self.message(receipt).payload_ids)

    def test_a_target_that_is_no_more_live_gets_nothing_new(self):
        self._route()
        self.archive.state = "retired"
        self.assertFalse(self._copies(self._accept(self.body())))

    def test_the_door_knows_the_priority_of_the_target_of_today(self):
        self._route()
        self.archive.priority = 2
        self.assertEqual(self._copies(self._accept(self.body())).priority, 2)

    def test_a_changed_clinic_code_reaches_the_door(self):
        self._route(
            mode="off",
            clinic_source="clinic",
            clinic_ids=[(0, 0, {"clinic_id": self.north.id, "mode": "live"})],
        )
        self.north.code = "N1"
        self.assertTrue(self._copies(self._accept(self.body(1, clinic="n1"))))

    def test_a_deleted_condition_reaches_the_door(self):
        way = self._route(
            condition_ids=[
                (0, 0, {"source": "test", "operator": "equals", "values": "TSH"})
            ]
        )
        self.assertFalse(self._copies(self._accept(self.body())))
        way.condition_ids.unlink()
        self.assertTrue(self._copies(self._accept(self.body(2), "k2")))

    def test_another_format_is_refused(self):
        table = self._interface("table", codec="csv", mapping_id=False)
        with self.assertRaises(ValidationError):
            self._route(target_id=table.id)

    def test_a_field_that_the_codec_cannot_read_is_refused(self):
        with self.assertRaises(ValidationError):
            self._route(condition_ids=[(0, 0, {"source": "a..b", "values": "x"})])

    def test_clinics_need_a_place_to_read_them_from(self):
        with self.assertRaises(ValidationError):
            self._route(clinic_ids=[(0, 0, {"clinic_id": self.north.id})])
