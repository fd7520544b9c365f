"""Field paths: how a map line names a value of a record.

``partner_id.name`` follows links; ``[]`` behind a link makes a list of what follows;
``|`` separates alternatives, of which the first with a value counts::

    partner_id.vat
    mobile|phone
    category_id[].name
    order_line[]                the nodes of a list of the document

A link to several records has to be written with ``[]``: which of several is meant is
not guessed. A path ends in a value; of a record that is one of its fields, such as
``partner_id.id``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

#: a path may not end in these
UNFIT = (
    "binary",
    "image",
    "many2one",
    "many2many",
    "many2one_reference",
    "one2many",
    "properties",
    "properties_definition",
    "reference",
)

_STEP = re.compile(r"[a-z_][a-z0-9_]*(\[\])?")


class PathError(ValueError):
    """The text is no field path. Holds a reason, not the text."""


def split(source: str) -> list[list[tuple[str, bool]]]:
    """The alternatives of a source as steps: (field name, is a list).

    :raises PathError: it is no field path
    """
    return [_steps(part.strip()) for part in source.split("|")]


def _steps(path: str) -> list[tuple[str, bool]]:
    steps = []
    for step in path.split("."):
        if not _STEP.fullmatch(step):
            raise PathError("not a field name")
        steps.append((step.removesuffix("[]"), step.endswith("[]")))
    return steps


def compile(source: str) -> Callable[[Any], Any]:
    """A function from a record to what ``source`` finds in it.

    :raises PathError: it is no field path
    """
    alternatives = split(source)

    def find(record: Any) -> Any:
        for steps in alternatives:
            found = _follow(record, steps)
            if found is not None and found != "" and found != []:
                return found
        return None

    return find


def _follow(record: Any, steps: list[tuple[str, bool]]) -> Any:
    (name, is_list), *rest = steps
    value = record[name]
    if is_list:
        found = [_follow(each, rest) if rest else each for each in value]
        return [each for each in found if each is not None]
    if rest:
        return _follow(value, rest) if value else None
    return plain(value, record._fields[name].type)


def plain(value: Any, kind: str) -> Any:
    """A field's value as documents hold it: times in ISO 8601, nothing for unset."""
    if kind == "boolean":
        return bool(value)
    if value is False or value is None:
        return None
    if isinstance(value, datetime):
        return f"{value.replace(microsecond=0).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    return value
