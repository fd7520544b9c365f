"""Typed errors, and what is kept of any failure: names and places, never content."""

import json
import traceback

import pytest
from health_connector.lib import errors, problem
from health_connector.lib.errors import BUG, MAPPING, Failure, HealthError, failure_of

MARKER = "ZZMARKERZZ"


def raised(function):
    """The exception of a function, with the traceback of a real raise."""
    try:
        function()
    except Exception as exc:
        return exc
    raise AssertionError("nothing was raised")


def test_the_eight_classes_of_the_design():
    assert set(errors.ERROR_CLASSES) == {
        "transient",
        "throttled",
        "auth",
        "rejected",
        "contract",
        "mapping",
        "conflict",
        "bug",
    }


def test_the_text_of_a_typed_error_is_its_code():
    error = HealthError(
        "lab.order_unknown", MAPPING, {"line": 3}, {"order": MARKER}, ("order",)
    )
    assert str(error) == "lab.order_unknown"
    assert error.args == ("lab.order_unknown",)
    for text in (str(error), repr(error), "".join(traceback.format_exception(error))):
        assert MARKER not in text


def test_a_failure_keeps_what_a_typed_error_says():
    error = HealthError("a.b", MAPPING, {"line": 3}, {"order": "7"}, ("order",))
    assert failure_of(error) == Failure(
        "a.b", MAPPING, {"line": 3}, {"order": "7"}, ("order",)
    )


def test_later_changes_of_the_callers_dicts_do_not_show():
    params = {"line": 3}
    error = HealthError("a.b", MAPPING, params)
    failure = failure_of(error)
    params["line"] = MARKER
    error.params["line"] = MARKER
    assert failure.params == {"line": 3}


def test_a_failure_can_always_be_recorded():
    odd = {"a\0": ["x\0y", ("\ud800",)], "n": float("nan"), "d": {"k": 1.5}}
    failure = failure_of(HealthError("a.b", MAPPING, odd, odd))
    kept = {"a": ["xy", ["?"]], "n": "nan", "d": {"k": 1.5}}
    assert (failure.params, failure.subject) == (kept, kept)


def test_other_addons_need_not_inherit():
    class Er7Error(ValueError):
        code = "er7.no_msh"
        error_class = "contract"
        params = {"position": 0}

    assert failure_of(Er7Error(MARKER)) == Failure(
        "er7.no_msh", "contract", {"position": 0}
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"code": "a.b"},
        {"error_class": "mapping"},
        {"code": "a.b", "error_class": "no_such_class"},
        {"code": 7, "error_class": "mapping"},
        {"code": None, "error_class": "mapping"},
    ],
)
def test_half_typed_errors_are_not_trusted(attributes):
    error = type("Half", (Exception,), {**attributes, "params": {"x": MARKER}})(MARKER)
    failure = failure_of(error)
    assert (failure.code, failure.error_class) == ("bug.Half", BUG)
    assert MARKER not in repr(failure)


def test_of_any_other_fault_only_its_type_and_places_are_kept():
    def innermost(note):
        return {"note": note}[f"no {note}"]

    failure = failure_of(raised(lambda: innermost(MARKER)))
    assert (failure.code, failure.error_class) == ("bug.KeyError", BUG)
    assert "unit/test_core_errors.py:" in failure.trace
    assert failure.trace.splitlines()[-1].endswith(" innermost")
    assert MARKER not in repr(failure)
    # a line of source could hold content too
    assert "return" not in failure.trace


def test_causes_of_a_fault_are_not_repeated():
    def chained():
        try:
            raise ValueError(MARKER)
        except ValueError as exc:
            raise RuntimeError(MARKER) from exc

    assert MARKER not in repr(failure_of(raised(chained)))


def test_a_deep_trace_shows_its_innermost_places():
    def down(depth):
        return down(depth - 1) if depth else 1 // 0

    places = errors.places(raised(lambda: down(100))).splitlines()
    assert len(places) == 12
    assert all(place.endswith(" down") for place in places)


def test_a_place_does_not_tell_where_the_project_lies():
    trace = failure_of(raised(lambda: 1 // 0)).trace
    assert "tests/unit/test_core_errors.py" in trace
    assert "/tests" not in trace
    assert not trace.startswith("/")


def test_one_cause_is_one_text():
    def cause(code="a", group=("order",), **subject):
        return Failure(code, MAPPING, {}, subject, group).cause

    assert cause(order="1", note="x") == cause(order="1", note="y")
    assert cause(order="1") != cause(order="2")
    assert cause(order="1") != cause("b", order="1")
    assert cause(group=(), order="1") == cause(group=(), order="2")
    assert cause(order="1", group=("order", "clinic")) != cause(order="1")


# -- what partners are told -----------------------------------------------------

PROBLEMS = [
    each for each in vars(problem).values() if isinstance(each, problem.Problem)
] + [problem.unreadable("json.syntax")]


@pytest.mark.parametrize("each", PROBLEMS, ids=lambda each: each.code)
def test_every_refusal_says_what_to_do(each):
    body = each.body()
    assert list(body) == ["code", "title", "detail", "next"]
    assert all(body.values())
    assert 400 <= each.status < 600
    assert "{" not in json.dumps(list(body.values()))


def test_facts_may_be_added():
    assert problem.TOO_LARGE.body(limit=40)["limit"] == 40
    assert "limit" not in problem.TOO_LARGE.body()


def test_codes_of_refusals_are_unique():
    codes = [each.code for each in PROBLEMS]
    assert len(set(codes)) == len(codes) >= 9
