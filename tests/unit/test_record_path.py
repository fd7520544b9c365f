"""Field paths, over stand-ins that have what a path needs of a record."""

from datetime import date, datetime

import pytest
from health_connector.lib import record_path
from health_connector.lib.record_path import PathError


class Field:
    def __init__(self, kind):
        self.type = kind


class Node:
    """What a path needs of a record: items, and the kinds of its fields."""

    def __init__(self, **values):
        self._values = {name: value for name, (_kind, value) in values.items()}
        self._fields = {name: Field(kind) for name, (kind, _value) in values.items()}

    def __getitem__(self, name):
        return self._values[name]


TAGS = [Node(name=("char", "a")), Node(name=("char", False))]
RECORD = Node(
    name=("char", "Ada"),
    phone=("char", False),
    active=("boolean", False),
    count=("integer", 0),
    seen=("datetime", datetime(2026, 1, 2, 3, 4, 5, 678)),
    born=("date", date(2026, 1, 2)),
    city_id=("many2one", Node(name=("char", "Ghent"))),
    none_id=("many2one", []),
    tag_ids=("many2many", TAGS),
)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("name", "Ada"),
        ("phone", None),
        ("phone | name", "Ada"),
        ("active", False),
        ("count", 0),
        ("seen", "2026-01-02T03:04:05Z"),
        ("born", "2026-01-02"),
        ("city_id.name", "Ghent"),
        ("none_id.name", None),
        ("tag_ids[].name", ["a"]),
        ("tag_ids[]", TAGS),
    ],
)
def test_what_a_path_finds(source, found):
    assert record_path.compile(source)(RECORD) == found


@pytest.mark.parametrize(
    "source", ["", ".", "a..b", "A", "a b", "a[0]", "a|", "a.", "a()", "1a", "a[].[]"]
)
def test_what_is_no_path(source):
    with pytest.raises(PathError):
        record_path.compile(source)
