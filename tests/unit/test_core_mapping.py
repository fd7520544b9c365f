"""The mapping engine: lines of data in, canonical documents out, nothing repeated
of what did not fit."""

import traceback

import jmespath
import pytest
from health_connector.lib.convert import CONVERTERS
from health_connector.lib.errors import MAPPING, HealthError, failure_of
from health_connector.lib.mapping import Context, Line, compile_lines, resolve

MARKER = "ZZMARKERZZ"
TREE = {
    "order": {"no": " LAB-1 ", "empty": "", "zero": 0, "no_": False},
    "patient": {"name": MARKER, "ids": [{"v": "1", "s": "A"}, {"v": "2"}]},
    "tests": [
        {"code": "CBC", "values": [{"n": "1"}, {"n": "2"}]},
        {"code": "TSH", "values": []},
        {},
    ],
    "single": {"code": "X"},
}


def compiled(*lines, allowed=None):
    lines = [Line(**line) if isinstance(line, dict) else Line(*line) for line in lines]
    return compile_lines(
        lines, lambda text: jmespath.compile(text).search, CONVERTERS, allowed
    )


def mapped(*lines, tree=TREE, allowed=None, context=None):
    return compiled(*lines, allowed=allowed).run(tree, context).document


def failing(*lines, tree=TREE, allowed=None):
    with pytest.raises(HealthError) as caught:
        mapped(*lines, tree=tree, allowed=allowed)
    assert caught.value.error_class == MAPPING
    return caught.value


# -- what a line does -----------------------------------------------------------


def test_values_go_where_the_target_says():
    assert mapped(
        ("number", "order.no"),
        ("deep.er.number", "order.no", "text"),
        ("deep.name", "patient.name"),
    ) == {"number": " LAB-1 ", "deep": {"er": {"number": "LAB-1"}, "name": MARKER}}


def test_what_is_absent_leaves_no_trace():
    assert mapped(("a.b", "nowhere"), ("c", "order.empty"), ("d", "")) == {}


def test_zero_and_false_are_values():
    assert mapped(("a", "order.zero"), ("b", "order.no_")) == {"a": 0, "b": False}


def test_a_default_stands_in_for_absent_and_empty():
    lines = [
        {"target": "a", "source": "nowhere", "default": "x", "required": True},
        {"target": "b", "source": "order.empty", "default": "x"},
        {"target": "c", "source": "order.no", "default": "x"},
        {"target": "d", "default": "constant"},
    ]
    assert mapped(*lines) == {"a": "x", "b": "x", "c": " LAB-1 ", "d": "constant"}


def test_lists_nest_and_rows_without_content_are_left_out():
    assert mapped(
        ("results[]", "tests"),
        ("results[].code", "code"),
        ("results[].parts[]", "values"),
        ("results[].parts[].number", "n", "integer"),
    ) == {
        "results": [
            {"code": "CBC", "parts": [{"number": 1}, {"number": 2}]},
            {"code": "TSH"},
        ]
    }


def test_the_order_of_the_lines_does_not_matter_for_lists():
    lines = [
        ("r[].p[].n", "n"),
        ("r[].p[]", "values"),
        ("r[].code", "code"),
        ("r[]", "tests"),
    ]
    assert mapped(*lines) == mapped(*reversed(lines))


def test_a_list_may_stand_deep_and_hold_objects():
    assert mapped(("a.b[]", "patient.ids"), ("a.b[].id.value", "v")) == {
        "a": {"b": [{"id": {"value": "1"}}, {"id": {"value": "2"}}]}
    }


def test_a_single_node_is_a_list_of_one():
    assert mapped(("r[]", "single"), ("r[].code", "code")) == {"r": [{"code": "X"}]}


def test_an_empty_list_is_absent():
    assert mapped(("r[]", "tests[1].values"), ("r[].n", "n")) == {}


def test_converters_know_the_partners_time_zone():
    line = ("at", "when", "datetime")
    tree = {"when": "2026-07-01T12:00:00"}
    assert mapped(line, tree=tree, context=Context("Europe/Berlin")) == {
        "at": "2026-07-01T10:00:00Z"
    }
    assert mapped(line, tree=tree) == {"at": "2026-07-01T12:00:00Z"}


def test_a_program_keeps_nothing_between_runs():
    program = compiled(("r[]", "tests"), ("r[].code", "code"))
    first, second = program.run(TREE).document, program.run(TREE).document
    first["r"][0]["code"] = "changed"
    assert second["r"][0]["code"] == "CBC"


# -- what is refused, and what is said about it ----------------------------------


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        ([{"target": "a", "source": "nowhere", "required": True}], "a"),
        ([{"target": "a", "source": "order.empty", "required": True}], "a"),
        ([{"target": "a[]", "source": "nowhere", "required": True}], "a[]"),
        (
            [
                {"target": "r[]", "source": "tests"},
                {"target": "r[].c", "source": "code", "required": True},
            ],
            "r[].c",
        ),
    ],
)
def test_required_is_required(lines, target):
    error = failing(*lines)
    assert (error.code, error.params) == ("mapping.required", {"target": target})


@pytest.mark.parametrize("converter", ["integer", "decimal", "boolean", "date"])
def test_what_does_not_fit_is_named_by_its_place_only(converter):
    error = failing(("who", "patient.name", converter))
    assert error.code == "mapping.convert"
    assert error.params == {"target": "who", "converter": converter}
    assert_says_nothing(error)


def test_a_tree_of_another_shape_is_a_mapping_error_and_repeats_nothing():
    # JMESPath quotes the value in its message
    error = failing(("n", "length(order.zero)"))
    assert (error.code, error.params) == ("mapping.source", {"target": "n"})
    for shape in (("n", "abs(patient.name)"), ("r[]", "keys(patient.name)")):
        assert_says_nothing(failing(shape))


def test_a_typed_error_of_a_converter_passes():
    def refuse(value, context):
        raise HealthError("demo.refused", MAPPING)

    program = compile_lines([Line("a", "a", "no")], lambda _: dict.copy, {"no": refuse})
    with pytest.raises(HealthError, match="demo.refused"):
        program.run({"a": 1})


def assert_says_nothing(error):
    failure = failure_of(error)
    told = f"{error}{error!r}{error.args}{error.params}{error.subject}{failure!r}"
    told += "".join(traceback.format_exception(error))
    assert MARKER not in told


@pytest.mark.parametrize(
    "target",
    ["", "A", "a b", "a.", ".a", "a[]b", "a[0]", "a.[]", "1a", "a-b", "a\n", "a[][]"],
)
def test_targets_are_checked(target):
    assert failing((target, "order.no")).code == "mapping.target"


@pytest.mark.parametrize(
    "targets",
    [
        ("a", "a.b"),
        ("a.b", "a"),
        ("a", "a[]"),
        ("a[]", "a.b"),
        ("a[]", "a[].b", "a[].b.c"),
        ("a[]", "a[].b[]", "a[].b"),
    ],
)
def test_a_place_holds_one_kind_of_thing(targets):
    error = failing(*((target, "code") for target in targets))
    assert error.code == "mapping.overlap"
    compiled(*((target, "code") for target in targets[:-1]))


def test_two_lines_for_one_place_are_alternatives_the_last_found_wins():
    lines = [("a", "order.no", "text"), ("a", "nowhere"), ("a", "tests[0].code")]
    assert mapped(*lines) == {"a": "CBC"}
    assert mapped(*lines[:2]) == {"a": "LAB-1"}


def test_a_line_of_a_list_needs_its_list():
    error = failing(("r[].code", "code"))
    assert error.code == "mapping.target"
    assert error.params == {"target": "r[].code", "missing": "r[]"}


def test_sources_and_converters_are_checked_before_any_message():
    assert failing(("a", "][")).code == "mapping.source"
    error = failing(("a", "order.no", "no_such"))
    assert error.code == "mapping.converter"
    assert error.params == {"target": "a", "converter": "no_such"}


# -- the field policy -----------------------------------------------------------

POLICY = [
    {"target": "no", "source": "order.no", "data_class": "identifier"},
    {"target": "name", "source": "patient.name", "data_class": "demographic"},
    {"target": "r[]", "source": "tests", "data_class": "clinical"},
    {"target": "r[].code", "source": "code"},
    {"target": "r[].p[]", "source": "values"},
    {"target": "r[].p[].n", "source": "n", "required": True},
]


@pytest.mark.parametrize(
    ("allowed", "kept"),
    [
        (None, {"no", "name", "r"}),
        ({"identifier", "administrative"}, {"no"}),
        ({"demographic"}, {"name"}),
        ({"clinical"}, set()),
        ({"clinical", "administrative"}, {"r"}),
        (set(), set()),
    ],
)
def test_what_the_policy_does_not_allow_is_never_mapped(allowed, kept):
    policy = None if allowed is None else frozenset(allowed)
    document = mapped(*POLICY, allowed=policy)
    assert set(document) == kept
    assert (MARKER in repr(document)) == ("name" in kept)


def test_a_required_line_outside_the_policy_is_not_missed():
    line = {"target": "a", "source": "nowhere", "required": True, "data_class": "x"}
    assert mapped(line, allowed=frozenset({"y"})) == {}


# -- codes ------------------------------------------------------------------------

CODES = [
    ("r[]", "tests"),
    {"target": "r[].code", "source": "code", "code_map": "tests"},
    {"target": "kind", "source": "order.zero", "code_map": "kinds"},
]


def test_codes_are_left_for_one_look_up_and_put_in_place():
    result = compiled(*CODES).run(TREE)
    wanted = {(each.code_map, each.value) for each in result.lookups}
    assert wanted == {("tests", "CBC"), ("tests", "TSH"), ("kinds", "0")}
    table = {("tests", "CBC"): "58410-2", ("tests", "TSH"): "3016-3"}
    resolve(result.lookups, {**table, ("kinds", "0"): "none"})
    assert result.document == {
        "kind": "none",
        "r": [{"code": "58410-2"}, {"code": "3016-3"}],
    }


def test_an_unknown_code_names_itself_to_staff_but_not_to_the_log():
    result = compiled(("a", ""), {**CODES[1], "target": "c", "source": "patient.name"})
    result = result.run(TREE)
    with pytest.raises(HealthError) as caught:
        resolve(result.lookups, {})
    error = caught.value
    assert error.code == "mapping.code"
    assert error.params == {"code_map": "tests", "target": "c"}
    assert error.subject == {"code_map": "tests", "code": MARKER}
    assert MARKER not in f"{error}{error!r}{error.args}"
    assert failure_of(error).cause == f"mapping.code|code_map=tests|code={MARKER}"
