"""A quick yes: ``jsonschema-rs`` for the schemas that both engines read alike.

The engines differ. Their regular expressions are of two dialects (``\\d``, ``$``),
so are their formats; ``multipleOf`` counts in other arithmetic. So a schema gets a
twin in which every format and pattern is a check of ours, called by the fast engine;
a schema with a keyword that is not in the lists below gets none, nor one that refers
to itself (a deep document ends the reference engine, not the fast one). Only a yes
counts: after a no, or an error, the reference engine decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .formats import FORMATS

try:
    import jsonschema_rs
except ImportError:  # optional accelerator
    jsonschema_rs = None

Check = Callable[[Any], bool]

#: keywords whose value is no schema, with one meaning in both engines
_PLAIN = frozenset(
    """$schema $id $comment title description default examples deprecated readOnly
    writeOnly type enum const required dependentRequired minLength maxLength minItems
    maxItems uniqueItems minContains maxContains minProperties maxProperties minimum
    maximum exclusiveMinimum exclusiveMaximum""".split()
)
_ONE = frozenset("items contains additionalProperties not if then else".split())
_MANY = frozenset("allOf anyOf oneOf prefixItems".split())
_NAMED = frozenset("properties $defs dependentSchemas".split())
_LOCAL = re.compile(r"#/\$defs/([^/%~]+)\Z")


class _Unsure(Exception):
    """The engines might not agree on this schema."""


def fast_check(schema: Any) -> Check | None:
    """A function that says True only for documents the reference engine accepts.

    :param schema: a valid 2020-12 schema
    :return: None without ``jsonschema-rs``, or when the engines might differ
    """
    if jsonschema_rs is None:
        return None
    twin = _Twin(schema)
    try:
        is_valid = jsonschema_rs.Draft202012Validator(
            twin.of(schema, ()),
            formats=twin.formats,
            validate_formats=True,
            offline=True,
        ).is_valid
    except (_Unsure, ValueError, jsonschema_rs.ReferencingError):
        return None

    def surely_valid(document: Any) -> bool:
        try:
            return is_valid(document)
        except ValueError:
            # broken text, or nested too deep for it: the reference engine decides
            return False

    return surely_valid


class _Twin:
    """Copies a schema, formats and patterns replaced by checks of ours."""

    def __init__(self, schema: Any) -> None:
        self.formats: dict[str, Check] = {}
        self._root = schema
        self._defs = schema.get("$defs", {}) if isinstance(schema, dict) else {}

    def of(self, node: Any, inside: tuple[str, ...]) -> Any:
        """The twin of one schema.

        :param inside: names of the definitions that lead here
        :raises _Unsure: a keyword, or a circle, that this engine is not trusted with
        """
        if isinstance(node, bool):
            return node
        copy: dict[str, Any] = {}
        checks = []
        for keyword, value in node.items():
            if keyword == "format":
                checks.append(self._format(value))
            elif keyword == "pattern":
                checks.append(self._pattern(value))
            else:
                copy[keyword] = self._keyword(node, keyword, value, inside)
        if checks:
            copy["allOf"] = [*copy.get("allOf", ()), *checks]
        return copy

    def _keyword(self, node: Any, keyword: str, value: Any, inside: tuple) -> Any:
        if keyword in _ONE:
            return self.of(value, inside)
        if keyword in _MANY:
            return [self.of(each, inside) for each in value]
        if keyword in _NAMED:
            return {name: self.of(each, inside) for name, each in value.items()}
        if keyword == "$ref":
            return self._reference(value, inside)
        if keyword in _PLAIN and (keyword != "$id" or node is self._root):
            return value
        raise _Unsure(keyword)

    def _reference(self, reference: str, inside: tuple[str, ...]) -> str:
        found = _LOCAL.match(reference)
        name = found.group(1) if found else None
        if name is None or name in inside or name not in self._defs:
            raise _Unsure("$ref")
        self.of(self._defs[name], (*inside, name))
        return reference

    def _format(self, name: str) -> dict[str, str]:
        key = f"format {name}"
        self.formats[key] = lambda value: FORMATS.conforms(value, name)
        return {"format": key}

    def _pattern(self, pattern: str) -> dict[str, str]:
        key = f"pattern {pattern}"
        search = re.compile(pattern).search
        self.formats[key] = lambda value: search(value) is not None
        return {"format": key}
