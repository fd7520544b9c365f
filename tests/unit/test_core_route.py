"""Routing as a specification: what feeds which interface, decided at the door."""

import json

from health_connector.lib.accept import Channel
from health_connector.lib.route import (
    EQUALS,
    EXISTS,
    IN,
    MISSING,
    STRAIGHT,
    Condition,
    Route,
    decide,
    dump,
    load,
)
from health_connector.lib.states import LIVE, OFF, SHADOW

ENTRY = Channel(1, 1, 1)
LAB, ARCHIVE, LEGACY = Channel(2, 1, 1), Channel(3, 2, 1), Channel(4, 3, 1)


def reader(**fields):
    return lambda source: fields.get(source, "")


def where(decision):
    return [(each.channel.interface_id, each.shadow) for each in decision.targets]


def test_without_routes_a_message_goes_straight():
    assert decide((), reader()) is STRAIGHT


def test_one_message_feeds_several_interfaces():
    routes = (Route(1, LAB), Route(2, ARCHIVE))
    assert where(decide(routes, reader())) == [(2, False), (3, False)]


def test_every_condition_must_hold():
    both = (Condition("a", EQUALS, frozenset({"1"})), Condition("b", EXISTS))
    routes = (Route(1, LAB, conditions=both),)
    assert where(decide(routes, reader(a="1", b="x"))) == [(2, False)]
    assert decide(routes, reader(a="1")) is STRAIGHT
    assert decide(routes, reader(a="2", b="x")) is STRAIGHT


def test_in_and_missing():
    chosen = (Route(1, LAB, conditions=(Condition("a", IN, frozenset({"x", "y"})),)),)
    assert where(decide(chosen, reader(a="y")))
    assert not where(decide(chosen, reader(a="z")))
    absent = (Route(1, LAB, conditions=(Condition("a", MISSING),)),)
    assert where(decide(absent, reader()))
    assert not where(decide(absent, reader(a="1")))


def test_the_first_route_to_an_interface_that_holds_decides():
    urgent = Condition("kind", EQUALS, frozenset({"S"}))
    routes = (Route(1, LAB, conditions=(urgent,), mode=SHADOW), Route(2, LAB))
    assert where(decide(routes, reader(kind="S"))) == [(2, True)]
    assert where(decide(routes, reader(kind="R"))) == [(2, False)]


def test_nothing_is_sent_to_a_partner_as_a_shadow():
    routes = (Route(1, LEGACY, mode=SHADOW, direction="out"),)
    assert where(decide(routes, reader())) == []


def test_off_stores_no_copy():
    assert where(decide((Route(1, LAB, mode=OFF),), reader())) == []


def test_a_route_to_the_entry_itself_says_how_it_takes_part():
    routes = (Route(1, ENTRY, own=True, mode=SHADOW), Route(2, LEGACY))
    decision = decide(routes, reader())
    assert decision.own == SHADOW
    assert where(decision) == [(4, False)]


def test_each_clinic_has_its_own_mode():
    modes = {"NORTH": LIVE, "SOUTH": SHADOW}
    routes = (Route(1, LAB, mode=OFF, clinic_source="clinic", clinic_modes=modes),)
    assert where(decide(routes, reader(clinic="NORTH"))) == [(2, False)]
    assert where(decide(routes, reader(clinic="south "))) == [(2, True)]
    assert where(decide(routes, reader(clinic="EAST"))) == []


def test_the_order_key_of_the_target_is_read_at_the_door():
    routes = (Route(1, LAB, order_key_source="patient"), Route(2, ARCHIVE))
    targets = decide(routes, reader(patient="P1")).targets
    assert [each.order_key for each in targets] == ["P1", None]


def test_routes_survive_their_table():
    routes = (
        Route(
            1,
            LAB,
            mode=SHADOW,
            conditions=(Condition("a", IN, frozenset({"x", "y"})),),
            clinic_source="c",
            clinic_modes={"N": LIVE},
            order_key_source="o",
            direction="out",
        ),
        Route(2, ENTRY, own=True),
    )
    table = json.loads(json.dumps([dump(route) for route in routes]))
    assert load(table) == routes
    assert load(None) == ()
