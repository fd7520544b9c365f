"""What a rehearsal found out about one message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DONE = "done"
IGNORED = "ignored"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a message would end if it were processed now.

    :param outcome: :data:`DONE`, :data:`IGNORED` or :data:`FAILED`
    :param code: the error's code, or the reason why it would be ignored
    :param changes: business rows it would insert, update or delete
    :param document_hash: keyed hash of the canonical document; empty when the bytes
        could not be brought to one
    :param step: the step that would fail
    """

    outcome: str
    code: str = ""
    res_model: str = ""
    res_id: int = 0
    changes: int = 0
    document_hash: str = ""
    step: str = ""

    @property
    def changes_nothing(self) -> bool:
        """Processing it would leave the business as it is."""
        return self.outcome == IGNORED or (self.outcome == DONE and not self.changes)


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as bytes that do not depend on the order of its members."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


#: rows of the framework and of what accompanies a change; everything else is business
FRAMEWORK_TABLES = (
    "health_message",
    "health_payload",
    "health_attempt",
    "health_binding",
    "health_exception",
    "health_backend_state",
    "health_interface_stat",
    "health_replay",
    "ir_cron_trigger",
)
FRAMEWORK_PREFIXES = ("mail_", "bus_", "queue_job", "health_audit", "orm_signaling")


def changes_by_table(
    before: Mapping[str, int], after: Mapping[str, int]
) -> dict[str, int]:
    """{business table: rows written} between two counts of {table: rows}."""
    written = {table: count - before.get(table, 0) for table, count in after.items()}
    return {
        table: count
        for table, count in written.items()
        if count
        and table not in FRAMEWORK_TABLES
        and not table.startswith(FRAMEWORK_PREFIXES)
    }


def business_changes(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Rows written to business tables between two counts of {table: rows}."""
    return sum(changes_by_table(before, after).values())
