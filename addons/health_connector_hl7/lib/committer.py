"""Group commit: one thread stores what arrived while the last commit ran.

The event loop never waits for the database and the database is never asked for one
message at a time when several wait. One writer, one transaction: whatever is
answered positively was committed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

_logger = logging.getLogger(__name__)

#: units and bytes of one transaction; a larger one would delay the others
MAX_UNITS = 256
MAX_BYTES = 4 * 1024 * 1024


class StoreDown(Exception):
    """The store cannot be reached; nothing can be said to be stored."""


class NotStored(Exception):
    """This one unit could not be stored; its neighbours were."""


class Store(Protocol):
    """What the committer needs; called from its thread only."""

    def commit(self, units: Sequence[Any]) -> Sequence[Any]:
        """Store and commit all; one receipt or :class:`NotStored` for each.

        :raises StoreDown: no positive answer may be given to any of them
        """

    def outcomes(self, message_ids: Sequence[int]) -> dict[int, Any]:
        """Those of the stored messages whose processing has ended, with what."""

    def tick(self) -> None:
        """Regular work between commits; must not raise, must not take long."""

    def close(self) -> None: ...


class Committer(threading.Thread):
    """Takes units from the loop, brings results back to it in one call a commit.

    :param deliver: called by ``call_soon`` with ``[(ticket, result), …]``; a result is
        a receipt, :class:`NotStored` or :class:`StoreDown`
    :param settled: called by ``call_soon`` with the outcomes of :meth:`watch`
    :param call_soon: ``loop.call_soon_threadsafe``
    """

    def __init__(
        self,
        store: Store,
        call_soon: Callable[..., Any],
        deliver: Callable[[list[tuple[Any, Any]]], None],
        settled: Callable[[dict[int, Any]], None],
        tick_seconds: float = 0.1,
    ) -> None:
        super().__init__(name="health-mllp-committer", daemon=True)
        self._store = store
        self._call_soon = call_soon
        self._deliver = deliver
        self._settled = settled
        self._tick_seconds = tick_seconds
        self._inbox: SimpleQueue = SimpleQueue()
        self._watched: set[int] = set()
        self._next_tick = 0.0

    def submit(self, unit: Any, ticket: Any) -> None:
        """Queue a unit; its result comes back with the ticket. Never blocks."""
        self._inbox.put((unit, ticket))

    def watch(self, message_id: int) -> None:
        """Report when the processing of a stored message has ended."""
        self._watched.add(message_id)

    def forget(self, message_id: int) -> None:
        self._watched.discard(message_id)

    def stop(self) -> None:
        """Commit what is queued, then end the thread."""
        self._inbox.put(None)

    def run(self) -> None:
        try:
            while (batch := self._take()) is not None:
                if batch:
                    self._commit(batch)
                self._tick()
        finally:
            self._store.close()

    def _take(self) -> list[tuple[Any, Any]] | None:
        """What waits, at most one transaction of it; None at the end."""
        try:
            entry = self._inbox.get(timeout=self._tick_seconds)
        except Empty:
            return []
        batch: list[tuple[Any, Any]] = []
        size = 0
        while entry is not None:
            batch.append(entry)
            size += len(entry[0].raw)
            if len(batch) >= MAX_UNITS or size >= MAX_BYTES:
                return batch
            try:
                entry = self._inbox.get_nowait()
            except Empty:
                return batch
        if batch:
            self._inbox.put(None)
            return batch
        return None

    def _commit(self, batch: list[tuple[Any, Any]]) -> None:
        units = [unit for unit, _ticket in batch]
        try:
            results: Sequence[Any] = self._store.commit(units)
        except StoreDown as down:
            results = [down] * len(batch)
        except Exception as error:
            _logger.error("commit failed: %s", type(error).__name__)
            results = [NotStored()] * len(batch)
        tickets = (ticket for _unit, ticket in batch)
        self._call_soon(self._deliver, list(zip(tickets, results, strict=True)))

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + self._tick_seconds
        try:
            self._store.tick()
            if self._watched:
                outcomes = self._store.outcomes(sorted(self._watched.copy()))
                self._watched.difference_update(outcomes)
                if outcomes:
                    self._call_soon(self._settled, outcomes)
        except StoreDown:
            pass  # held answers run into their deadline, which refuses them
        except Exception as error:
            _logger.error("tick failed: %s", type(error).__name__)
