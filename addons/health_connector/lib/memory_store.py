"""A store without a database: for tests of the servers that commit into it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from .accept import Receipt
from .committer import NotStored, StoreDown


class MemoryStore:
    """Decides new, duplicate and conflict as the core's accept does, in memory.

    :ivar units: what was stored, in order
    :ivar batches: how many were stored at a time
    :ivar gate: clear it to hold up writing; ``flush_gate``: to hold up flushing
    :ivar down: while True nothing can be stored
    :ivar lost: while True nobody knows whether what is stored will last
    :ivar poison: a unit for which it answers True cannot be stored
    :ivar ended: outcomes of processing by message id, see ``Store.outcomes``
    """

    def __init__(self) -> None:
        self.units: list[Any] = []
        self.batches: list[int] = []
        self.down = self.lost = False
        self.poison: Callable[[Any], bool] = lambda unit: False
        self.ended: dict[int, Any] = {}
        self.gate, self.flush_gate = threading.Event(), threading.Event()
        self.gate.set()
        self.flush_gate.set()
        self._seen: dict[tuple, tuple[bytes, Receipt]] = {}

    def write(self, units: Sequence[Any]) -> tuple[list[Receipt | NotStored], Any]:
        self.gate.wait(10)
        if self.down:
            raise StoreDown
        self.batches.append(len(units))
        return [self._store(unit) for unit in units], self

    def flush(self, token: Any) -> None:
        self.flush_gate.wait(10)
        if self.lost:
            raise StoreDown

    def forget(self) -> None:
        """Start again with an empty store."""
        self.units.clear()
        self._seen.clear()

    def outcomes(self, message_ids: Sequence[int]) -> dict[int, Any]:
        return {key: self.ended[key] for key in message_ids if key in self.ended}

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _store(self, unit: Any) -> Receipt | NotStored:
        if self.poison(unit):
            return NotStored()
        key = (unit.channel, unit.dedupe_key)
        raw, first = self._seen.get(key, (None, None))
        if first and raw == unit.raw:
            return Receipt(first.message_id, first.uid, "duplicate", first.accepted_at)
        self.units.append(unit)
        verdict = "conflict" if first else "new"
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        receipt = Receipt(len(self.units), uuid.uuid4().hex, verdict, now)
        self._seen.setdefault(key, (unit.raw, receipt))
        return receipt
