"""What the HTTP door decides by itself; the same table runs against both servers in
tests/e2e/test_http_doors.py."""

from datetime import datetime

import pytest
from health_connector.lib import http_door, problem
from health_connector.lib.accept import CONFLICT, DUPLICATE, NEW, Channel, Receipt
from health_connector.lib.errors import HealthError
from health_connector.lib.http_door import Head, Refused
from health_connector.lib.peek import peek_json, reader_json
from health_connector.lib.route import Condition, Route, dump


class Ring:
    def blind(self, scope, text):
        return f"{scope}:{text}"


SETTINGS = {
    "id": 1, "backend_id": 2, "company_id": 3, "priority": 5, "codec": "json",
    "state": "live", "open": True, "max_size": 100, "message_types": "",
    "urgent_source": "", "urgent_values": "",
    "order_key_source": "order", "dedupe_source": "id", "charset": "",
    "route_table": None, "environment": "test",
    "digests": ["secret:bearer:other", "secret:bearer:key"],
}  # fmt: skip
BODY = b'{"id": "m1", "order": "o1"}'


def head(**headers):
    length = str(len(BODY))
    given = {"Authorization": "Bearer key", "Content_Length": length, **headers}
    return Head.of(
        (name.replace("_", "-"), value)
        for name, value in given.items()
        if value is not None
    )


def refusal(asked, **settings):
    with pytest.raises(Refused) as caught:
        http_door.enter(Ring(), {**SETTINGS, **settings}, asked)
    return caught.value


def test_the_right_key_opens():
    assert http_door.enter(Ring(), SETTINGS, head())["id"] == 1
    assert http_door.enter(Ring(), SETTINGS, head(Authorization="bearer  key "))


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Basic key", "key"]
)
def test_no_other_key_opens(authorization):
    why = refusal(head(Authorization=authorization))
    assert why.why is problem.UNAUTHORIZED


def test_an_unknown_address_looks_like_a_wrong_key():
    with pytest.raises(Refused) as unknown:
        http_door.enter(Ring(), None, head())
    wrong = refusal(head(Authorization="Bearer wrong"))
    assert unknown.value.answer == wrong.answer


def test_a_stranger_does_not_learn_whether_the_interface_is_live():
    why = refusal(head(Authorization="Bearer wrong"), state="draft")
    assert why.why is problem.UNAUTHORIZED


def test_what_is_not_live_says_when_to_come_again():
    for settings in ({"state": "suspended"}, {"open": False}):
        answer = refusal(head(), **settings).answer
        assert (answer.status, answer.headers) == (503, {"Retry-After": "60"})


def test_the_size_is_judged_by_the_head_alone():
    assert refusal(head(), max_size=10).why is problem.TOO_LARGE
    assert refusal(head(), max_size=10).answer.body["limit"] == 10
    huge = str(http_door.HARD_LIMIT + 1)
    asked = head(Content_Length=huge)
    assert refusal(asked, max_size=1 << 40).why is problem.TOO_LARGE


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": None},
        {"Content_Length": "-1"},
        {"Content_Length": "many"},
        {"Transfer_Encoding": "chunked"},
    ],
)
def test_a_body_of_unknown_length_is_not_read(headers):
    assert refusal(head(**headers)).why is problem.LENGTH_REQUIRED


def test_the_keys_are_read_and_the_type_of_the_content_noted():
    asked = head(Content_Type="Application/JSON; charset=utf-8")
    unit = http_door.read(SETTINGS, asked, BODY, peek_json)
    assert (unit.dedupe_key, unit.order_key) == ("m1", "o1")
    assert unit.content_type == "application/json"
    assert (unit.channel.backend_id, unit.channel.company_id) == (2, 3)


def unreadable(raw, peek=peek_json, **settings):
    with pytest.raises(Refused) as caught:
        http_door.read({**SETTINGS, **settings}, head(), raw, peek)
    return caught.value.answer


def test_what_cannot_be_read_is_refused_by_its_code():
    assert unreadable(b"{no").body["code"] == "json.syntax"
    assert unreadable(b"").body["code"] == "body.empty"
    assert unreadable(BODY, message_types="ORU").status == 422


def test_a_fault_of_the_codec_is_no_fault_of_the_server(caplog):
    def broken(settings, raw, headers):
        raise ValueError("SECRET")

    assert unreadable(BODY, broken).body["code"] == "bug.ValueError"
    assert "SECRET" not in caplog.text and "broken" in caplog.text

    def typed(settings, raw, headers):
        raise HealthError("x.y", "contract")

    assert unreadable(BODY, typed).body["code"] == "x.y"


def test_answers_to_what_was_stored():
    receipt = {verdict: Receipt(7, "u", verdict, datetime(2026, 1, 1))
               for verdict in (NEW, DUPLICATE, CONFLICT)}  # fmt: skip
    first = http_door.reply(receipt[NEW])
    assert (first.status, first.body["id"]) == (202, 7)
    assert http_door.reply(receipt[DUPLICATE]) == first
    assert http_door.reply(receipt[CONFLICT]).status == 409


def test_a_message_code_wants_all_its_events():
    for wanted, kind, answer in (
        ("", "ORU^R01", True),
        ("ORU^R01, ADT", "ORU^R01", True),
        ("ORU^R01, ADT", "ADT^A08", True),
        ("ORU^R01, ADT", "ORU^R30", False),
        ("ORU^R01", "", False),
    ):
        assert http_door.is_wanted(wanted, kind) is answer


def test_routes_are_decided_by_what_the_body_says():
    condition = Condition("kind", "equals", frozenset({"urgent"}))
    way = Route(7, Channel(9, 2, 3), conditions=(condition,), mode="shadow")
    settings = {**SETTINGS, "route_table": [dump(way)]}
    urgent = b'{"id": "m1", "order": "o1", "kind": "urgent"}'
    taken = http_door.read(settings, head(), urgent, peek_json, reader_json)
    assert [(each.route_id, each.shadow) for each in taken.targets] == [(7, True)]
    taken = http_door.read(settings, head(), BODY, peek_json, reader_json)
    assert taken.targets == ()
