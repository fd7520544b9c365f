"""Contracts: what is valid, what is told about what is not, and two engines that
always say the same."""

import json
import socket
from pathlib import Path

import jsonschema_rs  # noqa: F401  the comparison is worth nothing without it
import pytest
from health_connector.lib import schema_fast
from health_connector.lib.errors import CONTRACT, HealthError
from health_connector.lib.schema import Contract, ContractError, check_schema
from hypothesis import given, settings, strategies as st

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
CONTRACTS = sorted((ROOT / "addons").glob("*/contracts/*.json"))
MARKER = "ZZMARKERZZ"

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["number", "lines"],
    "additionalProperties": False,
    "properties": {
        "number": {"type": "string", "pattern": r"^LAB-\d{3,6}\Z"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"format": "date"},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/line"},
        },
    },
    "$defs": {
        "line": {
            "type": "object",
            "required": ["code"],
            "properties": {
                "code": {"type": "string", "minLength": 1, "maxLength": 8},
                "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100},
                "status": {"enum": ["final", "partial", None]},
            },
        }
    },
}
GOOD = {"number": "LAB-001", "lines": [{"code": "CBC", "count": 2, "status": None}]}
BAD = [
    ({}, "$: required number, lines"),
    ({**GOOD, "number": "LAB-1"}, "$.number: pattern"),
    ({**GOOD, "number": 1}, "$.number: type"),
    ({**GOOD, "number": "LAB-001\n"}, "$.number: pattern"),
    ({**GOOD, "extra": 1}, "$: additionalProperties"),
    ({**GOOD, "at": "2026-01-01T10:00:00"}, "$.at: format"),
    ({**GOOD, "day": "2026-02-30"}, "$.day: format"),
    ({**GOOD, "lines": []}, "$.lines: minItems"),
    ({**GOOD, "lines": [{"code": "A"}, {}]}, "$.lines[1]: required code"),
    ({**GOOD, "lines": [{"code": ""}]}, "$.lines[0].code: minLength"),
    ({**GOOD, "lines": [{"code": "A", "count": 0}]}, "$.lines[0].count: minimum"),
    ({**GOOD, "lines": [{"code": "A", "count": 1.5}]}, "$.lines[0].count: type"),
    ({**GOOD, "lines": [{"code": "A", "count": True}]}, "$.lines[0].count: type"),
    ({**GOOD, "lines": [{"code": "A", "status": "x"}]}, "$.lines[0].status: enum"),
    ([], "$: type"),
    (None, "$: type"),
]
both_engines = pytest.mark.parametrize("fast", [False, True], ids=["py", "rs"])


def verdicts(schema, document):
    """The verdicts of the reference and of the fast engine."""
    return [Contract(schema, fast=fast).is_valid(document) for fast in (False, True)]


@both_engines
def test_a_good_document_passes(fast):
    contract = Contract(ORDER, fast=fast)
    assert contract.is_fast == fast
    assert contract.is_valid(GOOD)
    assert contract.problems(GOOD) == []
    contract.validate(GOOD)


@both_engines
@pytest.mark.parametrize(("document", "problem"), BAD)
def test_a_bad_document_is_told_its_place_and_rule(fast, document, problem):
    contract = Contract(ORDER, fast=fast)
    assert not contract.is_valid(document)
    with pytest.raises(ContractError) as caught:
        contract.validate(document)
    assert (caught.value.code, caught.value.error_class) == (
        "contract.invalid",
        CONTRACT,
    )
    assert problem in caught.value.params["problems"]


@both_engines
def test_problems_name_no_value_and_no_name_of_the_sender(fast):
    schema = {
        "properties": {"people": {"additionalProperties": {"required": ["id"]}}},
        "propertyNames": {"maxLength": 8},
    }
    document = {
        "people": {MARKER: {"note": MARKER}, f"{MARKER}2": 1},
        MARKER: MARKER,
        "x": MARKER,
    }
    with pytest.raises(ContractError) as caught:
        Contract(schema, fast=fast).validate(document)
    told = f"{caught.value!r} {caught.value} {caught.value.params} {caught.value.args}"
    assert "$.people.*: required id" in told
    assert MARKER not in told


def test_at_most_a_screenful_is_reported():
    problems = Contract({"items": {"type": "string"}}).problems(list(range(500)))
    assert len(problems) == 20


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "strnig"}, "$.type"),
        ({"properties": {"a": {"minLength": -1}}}, "$.properties.a.minLength"),
        ({"pattern": "("}, "$.pattern"),
        ({"$ref": "#/$defs/missing"}, "#/$defs/missing"),
        ({"items": {"$ref": "other.json"}}, "other.json"),
        ([], "$"),
    ],
)
def test_a_schema_is_checked_before_it_is_used(schema, path):
    for use in (check_schema, Contract):
        with pytest.raises(HealthError) as caught:
            use(schema)
        assert caught.value.code == "contract.schema"
        assert caught.value.params["path"] == path


def test_no_schema_is_fetched_over_the_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        with pytest.raises(HealthError):
            Contract({"properties": {"a": {"$ref": url}}})
        with pytest.raises(TimeoutError):
            server.accept()


def test_names_that_look_like_references_are_only_names():
    check_schema({"properties": {"$ref": {"const": {"$ref": "nowhere"}}}})


def test_without_the_fast_engine_the_reference_decides(monkeypatch):
    monkeypatch.setattr(schema_fast, "jsonschema_rs", None)
    contract = Contract(ORDER)
    assert not contract.is_fast
    assert contract.is_valid(GOOD)
    assert not contract.is_valid(BAD[0][0])


# -- formats: the same list everywhere ------------------------------------------

FORMATS = {
    "date": (
        ["2026-02-28", "2024-02-29", "0001-01-01"],
        ["2026-02-29", "2026-1-1", "20260101", "2026-01-01T", "٢٠٢٦-01-01", "x", ""],
    ),
    "time": (
        ["10:00:00Z", "23:59:59.123456789+05:30", "00:00:00-00:00"],
        ["10:00:00", "24:00:00Z", "10:00Z", "10:00:00+24:00", "10:00:00Z\n"],
    ),
    "date-time": (
        ["2026-01-01T10:00:00Z", "2026-01-01t10:00:00.5-03:00"],
        ["2026-01-01", "2026-01-01 10:00:00Z", "2026-13-01T10:00:00Z", "now"],
    ),
    "email": (["a@example.org"], ["nobody"]),
    "ipv4": (["127.0.0.1"], ["127.0.0.256", "::1"]),
    "ipv6": (["::1"], ["127.0.0.1", "zz"]),
    "uuid": (["2f1d6d5e-8f0b-4c3a-9a55-0d8f0f3c9b11"], ["2f1d6d5e"]),
}


@both_engines
@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_checked(fast, name):
    contract = Contract({"format": name}, fast=fast)
    good, bad = FORMATS[name]
    assert [text for text in good if not contract.is_valid(text)] == []
    assert [text for text in bad if contract.is_valid(text)] == []
    assert contract.is_valid(20260101)


@both_engines
@pytest.mark.parametrize("name", ["uri", "hostname", "duration", "regex", "unheard-of"])
def test_other_formats_are_remarks(fast, name):
    assert Contract({"format": name}, fast=fast).is_valid("\x00 not { one")


# -- one verdict ----------------------------------------------------------------

#: where the engines differ when they are asked directly
DIFFERENT = [
    ({"pattern": r"^\d+$"}, ["12", "12\n", "\u0661\u0662", "x"]),
    ({"pattern": r"^\D+$"}, ["\u0661\u0662", "x", "1"]),
    ({"pattern": r"^\w+$"}, ["\u00e9", "e", "-"]),
    ({"pattern": r"^\s$"}, ["\u00a0", "\x1c", "\ufeff", " ", "x"]),
    ({"pattern": r"^[A-Z]\Z"}, ["A", "a", "A\n"]),
    ({"pattern": r"(?P<a>x)(?P=a)"}, ["xx", "x"]),
    ({"not": {"pattern": r"^\d+$"}}, ["12\n", "\u0661", "x"]),
    ({"patternProperties": {r"^\d+$": False}}, [{"1\n": 1}, {"1": 1}, {"a": 1}]),
    ({"multipleOf": 0.01}, [19.99, 0.07, 1, 0.005]),
    ({"not": {"multipleOf": 0.01}}, [19.99, 0.07, 1, 0.005]),
    ({"format": "date-time"}, ["x", "2026-01-01T10:00:00Z"]),
    ({"not": {"format": "uri"}}, ["x", "http://example.org"]),
    ({"maximum": float("inf")}, [1, 1.5, "x"]),
    ({"maxLength": 1}, ["\ud800", "\ud800\ud800", "\U0001f600", "\U0001f600a"]),
    ({"dependencies": {"a": ["b"]}}, [{"a": 1}, {"a": 1, "b": 1}]),
    ({"const": [1]}, [[True], [1.0], [1]]),
    ({"enum": [0, 9007199254740993]}, [False, 0.0, 9007199254740992.0]),
    ({"uniqueItems": True}, [[1, True], [1, 1.0], [[1], [True]], [{"a": 0}, {"a": 0}]]),
    ({"type": "integer"}, [10**30, 1.0, 1e300, True]),
    ({"maximum": 10}, [10**30, -(10**30), 10, 10.000001]),
    ({"items": {"$ref": "#"}, "type": "array"}, [[[[]]], [[[1]]]]),
    ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, [{"type": 3}, True]),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, [{"a": 1}, {"b": 1}]),
    ({"$defs": {"a": {"pattern": r"\d"}}, "$ref": "#/$defs/a"}, ["\u0661", "1", ""]),
]


@pytest.mark.parametrize(("schema", "documents"), DIFFERENT)
def test_known_differences_do_not_show(schema, documents):
    for document in documents:
        reference, fast = verdicts(schema, document)
        assert reference == fast, document


def test_depth_is_no_crash_and_no_difference():
    for schema in ({"items": {"$ref": "#"}}, {}):
        for depth in (100, 400, 900):
            document = []
            for _level in range(depth):
                document = [document]
            reference, fast = verdicts(schema, document)
            assert reference == fast, (schema, depth)
    assert Contract({"items": {"$ref": "#"}}).problems(document)[0].rule


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-01", "2026-01-01T10:00:00Z", "A1", "1\n", "\u0661"])
)
names = st.sampled_from(["a", "b", "format", "pattern", "$ref"])
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
    ),
    max_leaves=8,
)


def keywords(inner):
    """Any schema of a few keywords."""
    number = st.integers(0, 3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                ["string", "integer", "number", "object", "array", "boolean", "null"]
            ),
            "enum": st.lists(documents, min_size=1, max_size=3),
            "const": documents,
            "required": st.lists(names, unique=True, max_size=2),
            "properties": st.dictionaries(names, inner, max_size=3),
            "additionalProperties": inner,
            "items": inner,
            "contains": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "minLength": number,
            "maxItems": number,
            "uniqueItems": st.booleans(),
            "minimum": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
            "exclusiveMaximum": number,
            "pattern": st.sampled_from([r"^\d$", r"\w", r"^[^A]*$", r"\S$"]),
            "format": st.sampled_from(["date", "date-time", "email", "uri"]),
        },
    )


schemas = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=5)


@settings(max_examples=400, deadline=None)
@given(schemas, st.lists(documents, min_size=1, max_size=6))
def test_random_schemas_and_documents_get_one_verdict(schema, some):
    reference, fast = Contract(schema, fast=False), Contract(schema, fast=True)
    assert fast.is_fast
    for document in some:
        assert reference.is_valid(document) == fast.is_valid(document), document
        assert reference.is_valid(document) == (not fast.problems(document))


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_our_own_contracts_are_good_and_fast(path):
    assert Contract(json.loads(path.read_text(encoding="utf-8"))).is_fast


# -- real documents: a schema drawn from each, and what breaks it ----------------


def draw_schema(node):
    """A strict schema that a document fits."""
    if isinstance(node, dict):
        return {
            "type": "object",
            "required": list(node),
            "additionalProperties": False,
            "properties": {name: draw_schema(each) for name, each in node.items()},
        }
    if isinstance(node, list):
        return {"type": "array", "prefixItems": [draw_schema(x) for x in node] or [{}]}
    return {"const": node}


def broken(node):
    """Copies of a document, each wrong in one place near the top."""
    if isinstance(node, dict):
        for name in list(node)[:4]:
            yield {key: value for key, value in node.items() if key != name}
            for worse in broken(node[name]):
                yield {**node, name: worse}
                break
        yield {**node, MARKER: 1}
    elif isinstance(node, list):
        for index, each in enumerate(node[:2]):
            for worse in broken(each):
                yield [*node[:index], worse, *node[index + 1 :]]
                break
    else:
        yield {"was": node}


def corpus():
    """The contracts themselves are JSON documents; the larger corpus adds 300."""
    files = [*CONTRACTS, *sorted(SHARED.glob("**/*.json"))]
    return [path for path in files if path.stat().st_size < 20_000]


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_real_documents_get_one_verdict(path):
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    schema = draw_schema(document)
    reference, fast = Contract(schema, fast=False), Contract(schema, fast=True)
    assert reference.is_valid(document)
    assert fast.is_valid(document)
    for worse in broken(document):
        assert not reference.is_valid(worse)
        assert not fast.is_valid(worse)
