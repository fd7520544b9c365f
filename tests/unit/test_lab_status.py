"""The rules of laboratory result statuses, without Odoo."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from health_connector_lab.lib import report, status, tables
from health_connector_lab.lib.status import Result, advance, order_state, summarise
from hypothesis import given, strategies as st

ADDON = Path(__file__).parents[2] / "addons" / "health_connector_lab"
T0 = datetime(2025, 7, 1, 12)
WORDS = sorted(set(tables.REPORT_STATUS.values()) | {"wrong"})


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("obr", "obx", "expected"),
    [
        ("F", "F", "final"),
        ("F", "FFX", "final"),
        ("F", "FP", "partial"),  # the less final one holds
        ("P", "FF", "preliminary"),
        ("A", "FF", "partial"),
        ("A", "FI", "partial"),
        ("I", "", "registered"),
        ("I", "F", "partial"),  # it says "pending" and sends a result
        ("F", "", "final"),
        ("F", "N", "final"),  # not asked: no statement
        ("F", "O", "final"),
        ("R", "R", "preliminary"),
        ("", "F", "final"),
        ("", "PF", "partial"),
        ("", "P", "preliminary"),
        ("", "I", "registered"),
        ("", "", None),
        ("", "N", None),
        ("C", "F", "corrected"),
        ("F", "FC", "corrected"),
        ("A", "CP", "corrected"),
        ("F", "FD", "corrected"),
        ("F", "DD", "wrong"),
        ("F", "FW", "wrong"),
        ("X", "", "cancelled"),
        ("X", "F", "cancelled"),
        ("F", "XX", "cancelled"),
        ("", "XD", "cancelled"),
    ],
)
def test_one_status_from_two_levels(obr, obx, expected):
    said = tables.report_status(obr) if obr else None
    assert summarise(said, [tables.observation_status(c) for c in obx]) == expected


@pytest.mark.parametrize("read", [tables.report_status, tables.observation_status])
@pytest.mark.parametrize("code", ["Q", "Z", "", "FF", "final"])
def test_an_unknown_status_is_refused_without_repeating_it(read, code):
    with pytest.raises(ValueError) as caught:
        read(code)
    assert str(caught.value) == "not in the table"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["N"], "normal"),
        (["H"], "abnormal"),
        (["hh "], "critical"),
        (["N", "AA"], "critical"),
        (["H", "D"], "abnormal"),
        (["U"], None),
        ([], None),
        ([""], None),
        (["S"], "normal"),
        (["R"], "abnormal"),
        (["<"], "abnormal"),
        (["PANIC!"], "abnormal"),  # nobody knows it: somebody looks
    ],
)
def test_the_gravest_flag(flags, expected):
    assert tables.flag(flags) == expected


@pytest.mark.parametrize(
    ("known", "said", "minute", "expected"),
    [
        (Result(), "final", 0, ("final", 1)),
        (Result(), "registered", 0, ("registered", 0)),
        (Result("preliminary", at(5), 1), "final", 4, ("final", 1)),
        (Result("preliminary", at(5), 3), "final", 4, status.STALE_TIME),
        (Result("partial", at(0), 1), "preliminary", 1, ("partial", 1)),
        (Result("final", at(0), 1), "preliminary", 1, status.STALE_STATUS),
        (Result("final", at(0), 1), "partial", 1, status.STALE_STATUS),
        (Result("preliminary", at(0), 1), "registered", 1, status.STALE_STATUS),
        (Result("final", at(1), 1), "corrected", 0, status.STALE_TIME),
        (Result("final", at(0), 1), "corrected", 0, ("corrected", 2)),
        (Result("corrected", at(0), 2), "corrected", 0, ("corrected", 2)),
        (Result("corrected", at(0), 2), "corrected", 1, ("corrected", 3)),
        (Result("corrected", at(0), 2), "final", 1, ("corrected", 2)),
        (Result("final", at(0), 1), "final", 1, ("final", 1)),
        (Result("final", at(0), 1), "wrong", 0, ("wrong", 2)),
        (Result("wrong", at(0), 2), "final", 0, status.STALE_TIME),
        (Result("wrong", at(0), 2), "final", 1, ("final", 3)),
        (Result("wrong", at(0), 2), "wrong", 0, ("wrong", 2)),
        (Result("preliminary", at(0), 1), "cancelled", 1, ("cancelled", 2)),
    ],
)
def test_what_a_report_changes(known, said, minute, expected):
    result = advance(known, said, at(minute))
    if isinstance(expected, str):
        assert result == expected
    else:
        assert (result.status, result.version) == expected
        assert result.at == at(minute)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 5))))
def test_no_sequence_of_reports_loses_a_released_result(reports):
    known = Result()
    for said, minute in reports:
        after = advance(known, said, at(minute))
        if isinstance(after, str):
            continue
        assert after.version >= known.version
        if known.status in status.RELEASED:
            assert after.status not in status.OPEN
        if known.status in status.RELEASED | status.WITHDRAWN:
            assert after.at >= known.at
        known = after


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 5)), min_size=1))
def test_a_report_sent_twice_changes_nothing_more(reports):
    known = Result()
    for said, minute in reports:
        for _copy in range(2):
            after = advance(known, said, at(minute))
            before, known = known, known if isinstance(after, str) else after
        assert known == before or isinstance(after, str)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "ordered"),
        (["ordered"], "ordered"),
        (["registered"], "ordered"),
        (["preliminary"], "partial"),
        (["final", "ordered"], "partial"),
        (["final", "final"], "final"),
        (["final", "cancelled"], "final"),
        (["cancelled"], "cancelled"),
        (["corrected", "ordered"], "corrected"),
        (["wrong"], "ordered"),
        (["wrong", "final"], "partial"),
    ],
)
def test_the_state_of_an_order(lines, expected):
    assert order_state(lines) == expected


def test_the_words_are_those_of_the_contract():
    text = (ADDON / "contracts" / "lab.result-1.0.json").read_text()
    order = json.loads(text)["$defs"]["order"]["properties"]
    observation = order["observations"]["items"]["properties"]
    assert set(order["status"]["enum"]) == set(tables.REPORT_STATUS.values())
    words = set(observation["status"]["enum"])
    assert words == set(tables.OBSERVATION_STATUS.values())
    assert observation["flag"]["enum"] == list(tables.FLAGS)


def test_a_document_becomes_statements():
    document = {
        "sent_at": "2025-07-01T13:00:00Z",
        "receiving_facility": "GROUP",
        "reports": [
            {
                "facility": "NOR",
                "identifiers": [
                    {"value": "1", "system": "A", "type": "PI"},
                    {"value": "2", "system": "A"},
                    {"value": "3"},
                    {"system": "A", "type": "MR"},
                ],
                "orders": [
                    {"placer_number": " P ", "test": {"code": "x"}},
                    {
                        "filler_number": "F",
                        "test": {"code": "x", "alternate_code": "y"},
                        "status": "final",
                        "reported_at": "2025-07-01T12:00:00Z",
                        "observations": [
                            {"status": "preliminary", "flag": "normal"},
                            {"flag": "critical"},
                        ],
                    },
                ],
            }
        ],
    }
    first, second = report.statements(document)
    assert first.placer == "P"
    assert first.status is None
    assert first.at == at(60)
    assert first.sites == ("NOR", "GROUP")
    assert first.identifiers == (("A", "PI", "1"), ("A", report.DEFAULT_TYPE, "2"))
    assert (second.filler, second.codes) == ("F", ("x", "y"))
    assert (second.status, second.at) == ("preliminary", T0)
    assert (second.flag, second.observations) == ("critical", 2)
