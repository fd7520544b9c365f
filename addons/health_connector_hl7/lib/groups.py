"""Put the segments of a message into the groups of its structure.

Nothing is validated and nothing is dropped: a missing segment is skipped, one out of
order goes where it may stand, an unknown one (Z segments) and every annotation belong
to what precedes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from .msh import Header
from .segment import Segment
from .structures import GroupDefinition, definition, structure_name

ANNOTATIONS = frozenset(("NTE", "PRT"))


class Group:
    """A group of segments and groups, in the order of the structure."""

    __slots__ = ("_by_name", "_last", "_position", "children", "definition", "name")

    def __init__(self, name: str, group_definition: GroupDefinition | None = None):
        self.name = name
        self.definition = group_definition
        self.children: list[Segment | Group] = []
        self._by_name: dict[str, list[Segment]] | None = None
        self._position = -1
        self._last: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Segment]:
        """Every segment of the group, those of inner groups included."""
        for child in self.children:
            if isinstance(child, Group):
                yield from child
            else:
                yield child

    def all(self, name: str) -> list[Segment]:
        """The segments of this name, those of inner groups included."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for segment in self:
                self._by_name[segment.name].append(segment)
        return self._by_name.get(name, [])

    def own(self, name: str) -> list[Segment]:
        """The segments of this name that belong to this very group."""
        return [
            child
            for child in self.children
            if isinstance(child, Segment) and child.name == name
        ]

    def groups(self, name: str) -> list["Group"]:
        """The groups of this name at any depth, in order."""
        found = []
        for child in self.children:
            if isinstance(child, Group):
                found += [child] if child.name == name else child.groups(name)
        return found

    def __repr__(self) -> str:
        return f"<Group {self.name} of {len(self.children)}>"


def group_segments(header: Header, segments: Iterable[Segment]) -> Group:
    """The groups of a message; one flat group when its structure is not known."""
    name = structure_name(header.structure, header.message_type)
    root = Group(name, definition(name) if name else None)
    stack, last = [root], root
    for segment in segments:
        if root.definition and segment.name not in ANNOTATIONS:
            stack, last = _find_place(stack, last, segment.name)
        last.children.append(segment)
    return root


def _find_place(
    stack: list[Group], last: Group, name: str
) -> tuple[list[Group], Group]:
    """The open groups after a segment of this name, outermost first, and the group
    it belongs to. A segment that came late does not change what is open."""
    for find, moves in _FINDERS:
        for depth in range(len(stack), 0, -1):
            number = find(stack[depth - 1], name)
            if number is not None:
                path = _enter(stack[:depth], number, name)
                return (path if moves else stack), path[-1]
    return stack, last


def _next_item(group: Group, name: str) -> int | None:
    """The next place in order that takes the segment, or begins a group with it."""
    for number, item in enumerate(group.definition.items):
        is_free = item.repeats or number > group._position
        if number >= group._position and is_free and name in item.starters:
            return number
    return None


def _earlier_item(group: Group, name: str) -> int | None:
    """A place that was passed already: the segment came out of order."""
    for number, item in enumerate(group.definition.items):
        if name in item.starters:
            return number
    return None


def _begun_item(group: Group, name: str) -> int | None:
    """A group that was begun already and knows the segment."""
    for number, item in enumerate(group.definition.items):
        if name in item.known and item.group and item.group.name in group._last:
            return number
    return None


def _any_item(group: Group, name: str) -> int | None:
    """A group that knows the segment: the one that should begin it is missing."""
    for number, item in enumerate(group.definition.items):
        if name in item.known:
            return number
    return None


_FINDERS = (
    (_next_item, True),
    (_earlier_item, False),
    (_begun_item, False),
    (_any_item, True),
)


def _enter(stack: list[Group], number: int, name: str) -> list[Group]:
    """Move to an item; open the groups on the way to the segment."""
    group = stack[-1]
    item = group.definition.items[number]
    group._position = max(group._position, number)
    if item.group is None:
        return stack
    begins_another = item.repeats and name in item.starters
    inner = None if begins_another else group._last.get(item.group.name)
    if inner is None:
        inner = group._last[item.group.name] = Group(item.group.name, item.group)
        group.children.append(inner)
    numbers = (find(inner, name) for find, _moves in _FINDERS)
    number = next(number for number in numbers if number is not None)
    return _enter([*stack, inner], number, name)
