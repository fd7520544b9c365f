"""JSON Schema 2020-12 validation of canonical documents.

Two engines, one verdict: ``jsonschema`` is the reference and always there,
``jsonschema-rs`` decides on the hot path when installed. What is wrong is reported
by the reference engine in both cases, so the report does not depend on the engine;
it names places and rules, never values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema

from .errors import CONTRACT, HealthError

try:
    import jsonschema_rs
except ImportError:  # optional accelerator
    jsonschema_rs = None

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REPORTED = 20


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
    """One broken rule: a JSON path with list positions, and the schema keyword."""

    path: str
    rule: str


def check_schema(schema: Any) -> None:
    """Refuse what is not a valid 2020-12 schema.

    :raises HealthError: code ``contract.schema`` with the place of the mistake
    """
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as exc:
        raise HealthError(
            "contract.schema", CONTRACT, {"path": exc.json_path, "rule": exc.validator}
        ) from None


class Contract:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Any], fast: bool | None = None) -> None:
        check_schema(schema)
        self._reference = jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        self._is_valid: Callable[[Any], bool] = self._reference.is_valid
        if fast is None:
            fast = jsonschema_rs is not None
        if fast:
            self._is_valid = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=False
            ).is_valid
            if any(_uses_format(schema)):
                # engines differ on formats: only the reference judges those
                quick, reference = self._is_valid, self._reference.is_valid
                self._is_valid = lambda doc: quick(doc) and reference(doc)

    def is_valid(self, document: Any) -> bool:
        """The verdict, by the fastest engine there is."""
        return self._is_valid(document)

    def problems(self, document: Any) -> list[Problem]:
        """What is wrong, by the reference engine, at most a screenful."""
        found = sorted(self._reference.iter_errors(document), key=lambda e: e.json_path)
        return [_problem(error) for error in found[:_REPORTED]]

    def validate(self, document: Any) -> None:
        """:raises ContractError: the document breaks the contract"""
        if not self._is_valid(document):
            raise ContractError(self.problems(document))


def _problem(error: jsonschema.ValidationError) -> Problem:
    rule = str(error.validator)
    if rule == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        rule = f"required {', '.join(missing)}"
    return Problem(error.json_path, rule)


def _uses_format(node: Any):
    """Yields True for every ``format`` keyword in a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("format"), str):
            yield True
        for value in node.values():
            yield from _uses_format(value)
    elif isinstance(node, list):
        for value in node:
            yield from _uses_format(value)
