"""Statements that are planned once a connection.

Accepting runs the same two statements thousands of times; planning one costs as much
as storing several messages. psycopg2 has no prepared statements of its own, so this
cursor prepares what it sees often and executes that from then on.
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
            query = self.connection.prepared.get(query) or self._prepare(query)
        super().execute(query, params)

    def _prepare(self, query: str) -> str:
        """The statement to execute: the query itself, or that of the prepared one."""
        seen = self.connection.seen
        seen[query] = seen.get(query, 0) + 1
        casts = _PLACEHOLDER.findall(query)
        if seen[query] != OFTEN or "%%" in query or not all(casts):
            return query
        prepared = self.connection.prepared
        name = f"health_{len(prepared)}"
        numbers = iter(range(1, len(casts) + 1))
        numbered = _PLACEHOLDER.sub(lambda found: f"${next(numbers)}{found[1]}", query)
        super().execute(f"PREPARE {name} AS {numbered}")
        values = ", ".join(f"%s{cast}" for cast in casts)
        prepared[query] = f"EXECUTE {name} ({values})"
        return prepared[query]
