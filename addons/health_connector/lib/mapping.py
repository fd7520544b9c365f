"""The mapping engine: a source tree to a canonical document, by lines of data.

A line says: put what ``source`` finds, passed through ``converter``, at ``target``.
A target that ends in ``[]`` opens a list: its source yields the nodes to walk, and
lines whose target begins with it are read relative to each node::

    target                        source
    order.placer_number           ORC-2-1|OBR-2-1
    results[]                     OBSERVATION(*)
    results[].code                OBX-3-1

Sources are written in the codec's own notation and compiled by it; the engine knows
no format. Codes are not looked up one by one: :meth:`Program.run` leaves a list of
:class:`Lookup` behind, a caller resolves those of a whole batch with one query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import MAPPING, HealthError

Source = Callable[[Any], Any]
Converter = Callable[[Any, "Context"], Any]

#: what sources and converters raise when the content is not as they expect
_UNFIT = (ValueError, TypeError, ArithmeticError, LookupError)

_TARGET = re.compile(r"[a-z][a-z0-9_]*(\[\])?(\.[a-z][a-z0-9_]*(\[\])?)*\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """One map line, as an administrator writes it.

    :param default: used when the source finds nothing
    :param data_class: what kind of data this is; the field policy filters on it
    :param code_map: name of the code map the value is translated with
    """

    target: str
    source: str = ""
    converter: str = ""
    default: Any = None
    required: bool = False
    data_class: str = "administrative"
    code_map: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What converters may need to know about the exchange.

    :param timezone: IANA name for local times that carry no offset
    """

    timezone: str = "UTC"


@dataclass(slots=True)
class Lookup:
    """A code still to be translated, and where the answer goes."""

    code_map: str
    value: str
    container: dict[str, Any]
    key: str
    target: str


@dataclass(slots=True)
class Result:
    """A mapped document and the codes in it that wait for translation."""

    document: dict[str, Any]
    lookups: list[Lookup] = field(default_factory=list)


@dataclass(slots=True)
class _Field:
    line: Line
    path: tuple[str, ...]
    source: Source
    convert: Converter | None


@dataclass(slots=True)
class _Scope:
    """The lines of one list, relative to one of its nodes."""

    path: tuple[str, ...] = ()
    source: Source | None = None
    required: bool = False
    target: str = ""
    fields: list[_Field] = field(default_factory=list)
    children: list[_Scope] = field(default_factory=list)


def mapping_error(code: str, **params: Any) -> HealthError:
    """A mapping failure: staff of the flow decide, nothing is retried."""
    return HealthError(f"mapping.{code}", MAPPING, params)


class Program:
    """Compiled map lines. Immutable; compile once, run for every message."""

    def __init__(self, root: _Scope) -> None:
        self._root = root

    def run(self, tree: Any, context: Context | None = None) -> Result:
        """Map one tree.

        :raises HealthError: ``mapping.required``, ``mapping.source`` or
            ``mapping.convert``, the target's name in ``params``; class mapping
        """
        result = Result({})
        _fill(self._root, tree, result.document, context or Context(), result.lookups)
        return result


def compile_lines(
    lines: Iterable[Line],
    compile_source: Callable[[str], Source],
    converters: Mapping[str, Converter],
    allowed: frozenset[str] | None = None,
) -> Program:
    """Compile map lines.

    :param compile_source: the codec's compiler for its notation
    :param allowed: data classes the interface may carry; None for all
    :raises HealthError: ``mapping.target``, ``mapping.overlap``, ``mapping.source``,
        ``mapping.converter``
    """
    scopes = {"": _Scope()}
    kept = _permitted(tuple(lines), allowed)
    _check_overlap(kept)
    for line in sorted(kept, key=lambda line: line.target.count("[]")):
        _check_target(line.target)
        if line.target.endswith("[]"):
            _open_scope(line, scopes, compile_source)
    for line in kept:
        if not line.target.endswith("[]"):
            scope, path = _home(line.target, scopes)
            scope.fields.append(_field(line, path, compile_source, converters))
    return Program(scopes[""])


def resolve(lookups: Iterable[Lookup], table: Mapping[tuple[str, str], str]) -> None:
    """Put translations where they belong.

    :param table: (code map, source code) to target code
    :raises HealthError: ``mapping.code`` for the first code without translation; its
        ``subject`` holds the map and the code, for staff to add
    """
    for lookup in lookups:
        translated = table.get((lookup.code_map, lookup.value))
        if translated is None:
            raise HealthError(
                "mapping.code",
                MAPPING,
                {"code_map": lookup.code_map, "target": lookup.target},
                {"code_map": lookup.code_map, "code": lookup.value},
                ("code_map", "code"),
            )
        lookup.container[lookup.key] = translated


# -- compiling ------------------------------------------------------------------


def _permitted(lines: Sequence[Line], allowed: frozenset[str] | None) -> list[Line]:
    """The lines the policy lets pass; a list that may not takes its lines along."""
    if allowed is None:
        return list(lines)
    closed = tuple(
        f"{line.target}."
        for line in lines
        if line.target.endswith("[]") and line.data_class not in allowed
    )
    return [
        line
        for line in lines
        if line.data_class in allowed and not line.target.startswith(closed)
    ]


def _check_overlap(lines: Sequence[Line]) -> None:
    """A place holds a value, an object or a list, not two of them."""
    holds: dict[str, str] = {}
    for line in lines:
        steps = line.target.split(".")
        for count, step in enumerate(steps, 1):
            inner = "object" if count < len(steps) else "value"
            kind = "list" if step.endswith("[]") else inner
            place = ".".join(steps[:count]).removesuffix("[]")
            if holds.setdefault(place, kind) != kind:
                raise mapping_error("overlap", target=line.target[:80])


def _check_target(target: str) -> None:
    if not _TARGET.match(target):
        raise mapping_error("target", target=target[:80])


def _home(target: str, scopes: dict[str, _Scope]) -> tuple[_Scope, tuple[str, ...]]:
    """The innermost list a target lies in, and its path from there."""
    _check_target(target)
    prefix, marker, rest = target.rpartition("[].")
    if not marker:
        return scopes[""], tuple(target.split("."))
    scope = scopes.get(f"{prefix}[]")
    if scope is None:
        raise mapping_error("target", target=target, missing=f"{prefix}[]")
    return scope, tuple(rest.split("."))


def _open_scope(
    line: Line, scopes: dict[str, _Scope], compile_source: Callable[[str], Source]
) -> None:
    parent, path = _home(line.target[:-2], scopes)
    scope = _Scope(
        path, _source(line, compile_source), line.required, target=line.target
    )
    parent.children.append(scope)
    scopes[line.target] = scope


def _source(line: Line, compile_source: Callable[[str], Source]) -> Source:
    if not line.source:
        return lambda node: None
    try:
        return compile_source(line.source)
    except Exception as exc:
        raise mapping_error("source", target=line.target) from exc


def _field(
    line: Line,
    path: tuple[str, ...],
    compile_source: Callable[[str], Source],
    converters: Mapping[str, Converter],
) -> _Field:
    convert = None
    if line.converter:
        convert = converters.get(line.converter)
        if convert is None:
            raise mapping_error(
                "converter", target=line.target, converter=line.converter
            )
    return _Field(line, path, _source(line, compile_source), convert)


# -- running --------------------------------------------------------------------


def _fill(
    scope: _Scope,
    node: Any,
    into: dict[str, Any],
    context: Context,
    lookups: list[Lookup],
) -> None:
    for item in scope.fields:
        value = _value(item, node, context)
        if value is not None:
            container = _container(into, item.path)
            container[item.path[-1]] = value
            if item.line.code_map:
                _note_lookup(item, value, container, lookups)
    for child in scope.children:
        rows = _rows(child, node, context, lookups)
        if rows:
            _container(into, child.path)[child.path[-1]] = rows
        elif child.required:
            raise mapping_error("required", target=child.target)


def _rows(
    scope: _Scope, node: Any, context: Context, lookups: list[Lookup]
) -> list[dict[str, Any]]:
    nodes = _find(scope.source, node, scope.target) if scope.source else None
    if nodes is None:
        return []
    if isinstance(nodes, (str, bytes)) or not isinstance(nodes, Sequence):
        nodes = [nodes]
    rows = []
    for each in nodes:
        row: dict[str, Any] = {}
        _fill(scope, each, row, context, lookups)
        if row:
            rows.append(row)
    return rows


def _find(source: Source, node: Any, target: str) -> Any:
    """What a source finds; a tree that is not as the source expects is no bug."""
    try:
        return source(node)
    except HealthError:
        raise
    except _UNFIT:
        raise mapping_error("source", target=target) from None


def _value(item: _Field, node: Any, context: Context) -> Any:
    line = item.line
    value = _find(item.source, node, line.target)
    if (value is None or value == "") and line.default is not None:
        return line.default
    if value is None or value == "":
        if line.required:
            raise mapping_error("required", target=line.target)
        return None
    if item.convert is None:
        return value
    try:
        return item.convert(value, context)
    except HealthError:
        raise
    except _UNFIT:
        # the cause's text could repeat the value: only the place is told
        raise mapping_error(
            "convert", target=line.target, converter=line.converter
        ) from None


def _container(into: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path[:-1]:
        into = into.setdefault(name, {})
    return into


def _note_lookup(
    item: _Field, value: Any, container: dict[str, Any], lookups: list[Lookup]
) -> None:
    lookups.append(
        Lookup(
            item.line.code_map,
            str(value),
            container,
            item.path[-1],
            item.line.target,
        )
    )
