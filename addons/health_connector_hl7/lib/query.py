"""Expressions in the notation HL7 people write, compiled to functions of a node.

=======================  ==========================================================
``PID-5-1``              segment, field, component (``PID-5-1-2``: subcomponent)
``PID-8``                the whole first occurrence of a field
``PID-3(2)-1``           second occurrence; ``PID-3(*)-1`` a list of all of them
``OBX(2)-5``             second segment; ``OBX(*)-5`` a list over all of them
``ORC-2-1|OBR-2-1``      the first alternative that finds something
``OBX(*)``               segments as nodes, ``PID-3(*)`` occurrences as nodes
``OBSERVATION(*)``       groups as nodes; inside a node names are looked up in it
``PATIENT_RESULT(1)/ORDER_OBSERVATION(*)``   groups within groups
``./NTE(*)-3``           only segments of this very group, not of inner groups
``-1``, ``-4-2``         relative to a node: component and subcomponent of an
                         occurrence, field and component of a segment
=======================  ==========================================================

Values are unescaped texts. Absent is None. The HL7 null (``""``) is :data:`NULL`, and
it counts as found: the sender asks to delete the value. A ``(*)`` anywhere gives a
list of what is there, or None when nothing is. A component means its first
subcomponent, as everywhere in HL7; a field without a component is given whole, as
ER7 text when it is composite.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from .er7 import Message
from .errors import Er7Error
from .escape import NULL
from .groups import Group
from .segment import Repetition, Segment
from .structures import GROUP_NAMES

__all__ = ["NULL", "Er7Error", "compile"]

Node = Message | Group | Segment | Repetition
Query = Callable[[Node], Any]

_INDEX = r"(?:\((\*|[1-9]\d{0,3})\))?"
_NUMBER = r"([1-9]\d{0,3})"
_GROUP = re.compile(rf"([A-Z][A-Z0-9_]{{3,}}){_INDEX}")
_SEGMENT = re.compile(
    rf"(?:([A-Z][A-Z0-9]{{2}}){_INDEX})?"
    rf"(?:-{_NUMBER}{_INDEX}(?:-{_NUMBER}(?:-{_NUMBER})?)?)?"
)
ALL = 0


class Step(NamedTuple):
    """A named segment or group; index ALL means every one."""

    name: str
    index: int


class Path(NamedTuple):
    """One compiled alternative. Without a segment it is relative to the node."""

    groups: tuple[Step, ...]
    own: bool = False
    segment: Step | None = None
    field: int = 0
    repetition: int = 1
    component: int = 0
    subcomponent: int = 1

    @property
    def is_list(self) -> bool:
        steps = (*self.groups, *((self.segment,) if self.segment else ()))
        return self.repetition == ALL or any(step.index == ALL for step in steps)


@lru_cache(maxsize=4096)
def compile(expression: str) -> Query:
    """Compile an expression; the result may be kept and called for any message.

    :raises Er7Error: ``er7.query_syntax`` here, with the number of the alternative;
        ``er7.query_context`` (both class mapping) when the compiled function gets a
        node it cannot be applied to, e.g. ``PID-5`` an occurrence of a field
    """
    paths = [
        _parse(text.strip(), number)
        for number, text in enumerate(expression.split("|"), 1)
    ]
    finders = [_finder(path) for path in paths]
    if len(finders) == 1:
        return finders[0]

    def first_found(node: Node) -> Any:
        for find in finders:
            found = find(node)
            if found is not None:
                return found
        return None

    return first_found


def _parse(text: str, number: int) -> Path:
    *groups, last = text.split("/")
    own = bool(groups) and groups[-1] == "."
    if own:
        groups.pop()
    if not own and _GROUP.fullmatch(last):
        return Path(tuple(_group_step(group, number) for group in [*groups, last]))
    match = _SEGMENT.fullmatch(last)
    if not match or not last:
        raise _syntax_error(number)
    name, index, field, repetition, component, subcomponent = match.groups()
    return Path(
        tuple(_group_step(group, number) for group in groups),
        own,
        Step(name, _index(index)) if name else None,
        int(field or 0),
        _index(repetition),
        int(component or 0),
        int(subcomponent or 1),
    )


def _group_step(text: str, number: int) -> Step:
    match = _GROUP.fullmatch(text)
    if not match or match[1] not in GROUP_NAMES:
        raise _syntax_error(number)
    return Step(match[1], _index(match[2]))


def _syntax_error(number: int) -> Er7Error:
    return Er7Error("er7.query_syntax", error_class="mapping", alternative=number)


def _index(text: str | None) -> int:
    return ALL if text == "*" else int(text or 1)


def _finder(path: Path) -> Query:
    """The function of a path. Most are a value of one segment, found in a message or
    group, or of one occurrence: those go the short way."""
    if path.groups or path.own or path.is_list or not path.field:
        return lambda node: _find(path, node)
    numbers = (path.field, path.component, path.subcomponent, path.repetition)
    if path.segment is None:
        return lambda node: (
            node.get(path.field, path.component or 1)
            if type(node) is Repetition and numbers[2:] == (1, 1)
            else _find(path, node)
        )
    name, nth = path.segment.name, path.segment.index - 1

    def value_of_segment(node: Node) -> Any:
        if type(node) is not Group and type(node) is not Message:
            return _find(path, node)
        found = node.all(name)
        return found[nth].get(*numbers) if len(found) > nth else None

    return value_of_segment


def _find(path: Path, node: Node) -> Any:
    nodes: list = [node]
    for step in path.groups:
        nodes = _pick((_groups(each, step.name) for each in nodes), step.index)
    if path.segment:
        found = (_segments(each, path) for each in nodes)
        nodes = _pick(found, path.segment.index)
    if path.field:
        nodes = [value for each in nodes for value in _values(each, path)]
    if path.is_list:
        return nodes or None
    return nodes[0] if nodes else None


def _pick(found: Iterable[list], index: int) -> list:
    """From each list the one of this number, or all."""
    part = slice(None) if index == ALL else slice(index - 1, index)
    return [node for nodes in found for node in nodes[part]]


def _groups(node: Node, name: str) -> list[Group]:
    if isinstance(node, Message):
        node = node.root
    if not isinstance(node, Group):
        raise _wrong_node(node)
    return node.groups(name)


def _segments(node: Node, path: Path) -> list[Segment]:
    name = path.segment.name
    if isinstance(node, Segment):
        return [node] if node.name == name else []
    if isinstance(node, Repetition):
        raise _wrong_node(node)
    if path.own:
        node = node.root if isinstance(node, Message) else node
        return node.own(name)
    return node.all(name)


def _values(node: Node, path: Path) -> list:
    """What a field expression finds in one node; nothing when it is absent."""
    if isinstance(node, Repetition):
        if path.repetition != 1 or path.subcomponent != 1:
            raise _wrong_node(node)
        value = node.get(path.field, path.component or 1)
        return [] if value is None else [value]
    if not isinstance(node, Segment):
        raise _wrong_node(node)
    if path.repetition != ALL:
        value = node.get(path.field, path.component, path.subcomponent, path.repetition)
        return [] if value is None else [value]
    repetitions = node.repetitions(path.field)
    if not path.component:
        return repetitions
    found = (each.get(path.component, path.subcomponent) for each in repetitions)
    return [value for value in found if value is not None]


def _wrong_node(node: Node) -> Er7Error:
    kind = type(node).__name__.lower()
    return Er7Error("er7.query_context", error_class="mapping", node=kind)
