"""JSON Schema 2020-12 validation of canonical documents.

Two engines, one verdict: ``jsonschema`` is the reference and always there,
``jsonschema-rs`` is asked first when installed (``schema_fast.py``) and believed only
when it says yes to a schema whose every keyword both read alike. What is wrong is
reported by the reference engine in both cases, so the report does not depend on the
engine; it names places and rules, never values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from .errors import CONTRACT, HealthError
from .formats import FORMATS
from .schema_fast import fast_check

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REPORTED = 20
#: keywords whose value is data, not schema
_DATA = {"const", "enum", "default", "examples"}


class ContractError(HealthError):
    """The document breaks its contract; ``params['problems']`` says where."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            "contract.invalid",
            CONTRACT,
            {"problems": [f"{p.path}: {p.rule}" for p in problems]},
        )
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: a JSON path with list positions, and the schema keyword.

    A name that the schema does not know is content and shown as ``*``.
    """

    path: str
    rule: str


def check_schema(schema: Any) -> None:
    """Refuse what is not a valid 2020-12 schema, or needs one that is not in it.

    References to elsewhere would be fetched over the network while messages wait.

    :raises HealthError: code ``contract.schema`` with the place of the mistake
    """
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as exc:
        raise _bad_schema(exc.json_path, exc.validator) from None
    root = DRAFT202012.create_resource(schema)
    resolver = REGISTRY.resolver_with_root(root)
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise _bad_schema(reference, "$ref") from None


def _bad_schema(path: str, rule: str) -> HealthError:
    return HealthError("contract.schema", CONTRACT, {"path": path, "rule": rule})


class Contract:
    """A compiled schema.

    :param fast: whether the fast engine is asked first; by default when installed
    :raises HealthError: see :func:`check_schema`
    """

    def __init__(self, schema: dict[str, Any] | bool, fast: bool = True) -> None:
        check_schema(schema)
        self._reference = jsonschema.Draft202012Validator(
            schema, format_checker=FORMATS, registry=REGISTRY
        )
        self._names = frozenset(_property_names(schema))
        self._fast = fast_check(schema) if fast else None

    @property
    def is_fast(self) -> bool:
        """Whether the fast engine takes part."""
        return self._fast is not None

    def is_valid(self, document: Any) -> bool:
        """The verdict, by the fastest engine there is."""
        if self._fast is not None and self._fast(document):
            return True
        try:
            return self._reference.is_valid(document)
        except RecursionError:
            return False

    def problems(self, document: Any) -> list[Problem]:
        """What is wrong, by the reference engine, at most a screenful."""
        try:
            found = sorted(
                self._reference.iter_errors(document), key=lambda error: error.json_path
            )
        except RecursionError:
            return [Problem("$", "nested too deep")]
        return [self._problem(error) for error in found[:_REPORTED]]

    def validate(self, document: Any) -> None:
        """:raises ContractError: the document breaks the contract"""
        if self._fast is not None and self._fast(document):
            return
        problems = self.problems(document)
        if problems:
            raise ContractError(problems)

    def _problem(self, error: jsonschema.ValidationError) -> Problem:
        rule = str(error.validator)
        if rule == "required":
            missing = [
                name for name in error.validator_value if name not in error.instance
            ]
            rule = f"required {', '.join(missing)}"
        return Problem("$" + "".join(map(self._step, error.absolute_path)), rule)

    def _step(self, step: str | int) -> str:
        if isinstance(step, int):
            return f"[{step}]"
        return f".{step}" if step in self._names else ".*"


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema, without those that are data."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in _DATA:
                yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _references(schema: Any) -> Iterator[str]:
    for node in _nodes(schema):
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(node.get(keyword), str):
                yield node[keyword]


def _property_names(schema: Any) -> Iterator[str]:
    for node in _nodes(schema):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
