"""Statements that are planned once a connection.

Accepting runs the same statements thousands of times with lists of values; planning
one, and parsing a list value by value, costs as much as storing several messages.
psycopg2 has no prepared statements of its own, so this cursor prepares what it sees
often, executes that from then on, and writes a list as one array constant.
"""

from __future__ import annotations

import re
from typing import Any

from psycopg2.extensions import connection, cursor

#: a statement is prepared when it comes for this time
OFTEN = 3

_PLACEHOLDER = re.compile(r"%s(::[a-z]+(?:\[\])?)?")


class PreparingConnection(connection):
    """Keeps count of the statements of its cursors."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seen: dict[str, int] = {}
        self.prepared: dict[str, str] = {}

    def cursor(self, *arguments: Any, **options: Any) -> cursor:
        options.setdefault("cursor_factory", PreparingCursor)
        return super().cursor(*arguments, **options)


class PreparingCursor(cursor):
    """Prepares statements all of whose parameters have a written type, because only
    these mean the same either way. The result of a statement does not change."""

    def execute(self, query: str, params: Any = None) -> None:
        if isinstance(params, (list, tuple)) and params and isinstance(query, str):
            prepared = self.connection.prepared.get(query) or self._prepare(query)
            if prepared is not None:
                query, params = prepared, [as_constant(each) for each in params]
        super().execute(query, params)

    def _prepare(self, query: str) -> str | None:
        """The statement that executes the prepared one; None while there is none."""
        seen = self.connection.seen
        seen[query] = seen.get(query, 0) + 1
        casts = _PLACEHOLDER.findall(query)
        if seen[query] != OFTEN or "%%" in query or not all(casts):
            return None
        prepared = self.connection.prepared
        name = f"health_{len(prepared)}"
        numbers = iter(range(1, len(casts) + 1))
        numbered = _PLACEHOLDER.sub(lambda found: f"${next(numbers)}{found[1]}", query)
        super().execute(f"PREPARE {name} AS {numbered}")
        values = ", ".join(f"%s{cast}" for cast in casts)
        prepared[query] = f"EXECUTE {name} ({values})"
        return prepared[query]


def as_constant(value: Any) -> Any:
    """A list of texts, integers and None as the text of an array constant, which the
    server reads at once; anything else, bytes among it, as it is."""
    if type(value) is not list:
        return value
    try:
        return "{" + ",".join([_WRITERS[type(each)](each) for each in value]) + "}"
    except KeyError:
        return value


def _text(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


_WRITERS = {str: _text, int: str, type(None): lambda value: "NULL"}
