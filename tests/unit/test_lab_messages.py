"""The demo traffic is what it says it is, before anything is sent."""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from health_connector_hl7.lib import door, er7, msh

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
import lab_messages  # noqa: E402

FLOW = door.Flow(channel=None, order_key_source="ORC-2-1|OBR-2-1")


@pytest.fixture(scope="module")
def orders():
    tests = ("58410-2", "51990-0", "3016-3")
    return [
        lab_messages.Order(
            f"LAB-{number:06}", f"MRN{100000 + number}", "NOR", tests[: 1 + number % 3]
        )
        for number in range(1, 61)
    ]


@pytest.fixture(scope="module")
def items(orders):
    return lab_messages.plan(orders, "run")


def test_two_hundred_messages_of_every_fate(items):
    assert len(items) == 200
    fates = Counter(item.fate for item in items)
    assert set(fates) == {
        "done", "ignored", "parked", "behind", "duplicate", "conflict"
    }  # fmt: skip


def test_every_message_passes_the_door_and_parses(items):
    for item in items:
        header = msh.peek(item.raw)
        assert header.message_type == "ORU^R01"
        assert door.examine(item.raw, header, FLOW).order_key.startswith("LAB-")
        assert er7.parse(item.raw).render() == item.raw


def test_a_control_id_is_used_again_on_purpose_only(items):
    seen = defaultdict(list)
    for item in items:
        seen[msh.peek(item.raw).control_id].append(item)
    for same in seen.values():
        first, *others = same
        for other in others:
            expected = "duplicate" if other.raw == first.raw else "conflict"
            assert other.fate == expected


def test_an_order_goes_one_way(items):
    ways = defaultdict(set)
    for item in items:
        keys = door.examine(item.raw, msh.peek(item.raw), FLOW)
        ways[keys.order_key].add(item.way)
    assert all(len(each) == 1 for each in ways.values())


def test_what_must_be_refused_is_refused(orders):
    flow = door.Flow(None, frozenset({"ORU^R01"}), max_size=1 << 20)
    gate = door.Door([flow], dict)
    cases = list(lab_messages.nasty("run", orders[0]))
    answered = [case for case in cases if case.answer]
    assert len(answered) == 10
    for case in answered:
        with pytest.raises(door.Refusal) as caught:
            gate.admit(case.wire[1:-2])
        assert f"A{caught.value.problem.verdict}" == case.answer, case.what
    for case in set(cases) - set(answered):
        complete = case.wire.startswith(b"\x0b") and case.wire.endswith(b"\x1c\r")
        assert not complete or len(case.wire) == 3
