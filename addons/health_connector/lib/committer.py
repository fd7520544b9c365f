"""Group commit in two steps, each with a thread of its own.

The *writer* stores what gathered while it was busy; the *flusher* makes durable what
was written since its last round, and only then answers leave. While the disk works
for one group the next one is stored already. There is one writer, so messages are
stored in the order in which they arrived.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

_logger = logging.getLogger(__name__)

#: units and bytes of one transaction; a larger one would delay the others
MAX_UNITS = 256
MAX_BYTES = 4 * 1024 * 1024
#: of more units than this at most half are written at a time: peers wait for their
#: answers before they send again, and if all were in one batch, the writer would
#: have nothing to do while the flusher works
SPLIT_UNITS = 8
TICK_SECONDS = 0.1

#: called on the loop with what became of a unit: a receipt, or one of the exceptions
#: below; all have a ``verdict``
Ticket = Callable[[Any], None]
Entry = tuple[Any, Ticket]  # of a unit
Result = tuple[Ticket, Any]


class StoreDown(Exception):
    """The store cannot be reached; nothing can be said to be stored."""

    verdict = "store.down"


class NotStored(Exception):
    """This one unit could not be stored; its neighbours were."""

    verdict = "store.failed"


class Throttled(Exception):
    """More came than this partner may send: not stored, welcome later.

    :ivar retry_after: seconds
    """

    verdict = "store.throttled"

    def __init__(self, retry_after: float) -> None:
        super().__init__(self.verdict)
        self.retry_after = retry_after


class Store(Protocol):
    """What the committer needs. ``flush`` is called by the flusher's thread, all else
    by the writer's."""

    def write(self, units: Sequence[Any]) -> tuple[Sequence[Any], Any]:
        """Store all: one receipt or :class:`NotStored` for each, and a token.

        Nothing may be promised to anybody before ``flush(token)``.

        :raises StoreDown: no positive answer may be given to any of them
        """

    def flush(self, token: Any) -> None:
        """Afterwards all that was written with this token survives any crash.

        :raises StoreDown: nobody knows
        """

    def outcomes(self, message_ids: Sequence[int]) -> dict[int, Any]:
        """Those of the stored messages whose processing has ended, with what."""

    def tick(self) -> None:
        """Regular work between writes; must not raise, must not take long."""

    def close(self) -> None: ...


class Committer:
    """Gathers units on the loop and brings the results back to it.

    The writer takes what has gathered by itself, as long as there is some; only an
    idle one is called, when the loop has read from everybody who has sent by then.

    Several doors may share one: a unit comes with a ticket, which is called with its
    result.

    :param loop: the loop on which all methods are called, and the tickets too
    :ivar settled: called with the outcomes of :meth:`watch`
    """

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.settled: Callable[[dict[int, Any]], None] = lambda outcomes: None
        self._loop = loop
        self._called = False
        self._flusher = Flusher(store, self._flushed)
        settled = self._on_loop(lambda outcomes: self.settled(outcomes))
        self._writer = Writer(store, self._flusher.inbox, settled)

    def start(self) -> None:
        self._flusher.start()
        self._writer.start()

    def submit(self, unit: Any, ticket: Ticket) -> None:
        """Queue a unit; its ticket is called with the result. Never blocks."""
        self._writer.open += 1
        self._writer.gathered.append((unit, ticket))
        if not self._called and self._writer.idle:
            self._called = True
            self._loop.call_soon(self._call_writer)

    def watch(self, message_id: int) -> None:
        """Report when the processing of a stored message has ended."""
        self._writer.watched.add(message_id)

    def forget(self, message_id: int) -> None:
        self._writer.watched.discard(message_id)

    async def stop(self) -> None:
        """Wait for the results of all that was submitted, then end the threads."""
        while self._writer.open:
            await asyncio.sleep(0.01)
        self._writer.stop()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._flusher.join)

    def _call_writer(self) -> None:
        self._called = False
        self._writer.call()

    def _flushed(self, results: list[Result]) -> None:
        self._on_loop(self._settle)(results)

    def _settle(self, results: list[Result]) -> None:
        self._writer.open -= len(results)
        for ticket, result in results:
            try:
                ticket(result)
            except Exception as error:  # one answer must not cost the others theirs
                _logger.error("answering failed: %s", places(error))

    def _on_loop(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Make a callback of the loop callable from a thread."""

        def call(*arguments: Any) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(callback, *arguments)

        return call


class Writer(threading.Thread):
    """Writes batches and passes them on to the flusher.

    :ivar gathered: units and tickets that wait, oldest first
    :ivar open: how many were submitted and are not answered yet
    :ivar idle: True while it waits to be called. Set before the last look at
        ``gathered``, so that nothing is overlooked
    :ivar watched: ids of stored messages whose processing is waited for
    """

    def __init__(
        self,
        store: Store,
        flusher: SimpleQueue,
        settled: Callable[[dict[int, Any]], None],
    ) -> None:
        super().__init__(name="health-writer", daemon=True)
        self.gathered: deque[Entry] = deque()
        self.open = 0
        self.idle = False
        self.watched: set[int] = set()
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._store = store
        self._flusher = flusher
        self._settled = settled
        self._next_tick = 0.0

    def call(self) -> None:
        """There is something to write."""
        self._calls.put(True)

    def stop(self) -> None:
        """End this thread, and the flusher after it."""
        self._calls.put(False)

    def run(self) -> None:
        going = True
        try:
            while going:
                batch = self._take()
                if batch:
                    self._write(batch)
                else:
                    going = self._wait()
                self._tick()
        finally:
            self._flusher.put(None)

    def _wait(self) -> bool:
        """Sleep until called or the next tick is due; False at the end."""
        self.idle = True
        try:
            return bool(self.gathered) or self._calls.get(timeout=TICK_SECONDS)
        except Empty:
            return True
        finally:
            self.idle = False

    def _take(self) -> list[Entry]:
        """As many as fit into one transaction, at least one if there is one."""
        batch: list[Entry] = []
        size = 0
        most = min(max(SPLIT_UNITS, self.open // 2), MAX_UNITS)
        while self.gathered and len(batch) < most and size < MAX_BYTES:
            batch.append(self.gathered.popleft())
            size += len(batch[-1][0].raw)
        return batch

    def _write(self, batch: list[Entry]) -> None:
        token = None
        try:
            results, token = self._store.write([unit for unit, _ticket in batch])
        except StoreDown as down:
            results = [down] * len(batch)
        except Exception as error:
            _logger.error("writing failed: %s", places(error))
            results = [NotStored()] * len(batch)
        tickets = [ticket for _unit, ticket in batch]
        self._flusher.put((token, list(zip(tickets, results, strict=True))))

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_SECONDS
        try:
            self._store.tick()
            if self.watched:
                outcomes = self._store.outcomes(sorted(self.watched.copy()))
                self.watched.difference_update(outcomes)
                if outcomes:
                    self._settled(outcomes)
        except StoreDown:
            pass  # held answers run into their deadline, which refuses them
        except Exception as error:
            _logger.error("tick failed: %s", places(error))


class Flusher(threading.Thread):
    """Makes all batches durable that were written since its last round, at once.

    :ivar inbox: (token, results) of a batch; None ends this thread
    """

    def __init__(self, store: Store, flushed: Callable[[list[Result]], None]) -> None:
        super().__init__(name="health-flusher", daemon=True)
        self.inbox: SimpleQueue[tuple[Any, list[Result]] | None] = SimpleQueue()
        self._store = store
        self._flushed = flushed

    def run(self) -> None:
        try:
            going = True
            while going:
                written = [self.inbox.get()]
                while not self.inbox.empty():
                    written.append(self.inbox.get())
                going = None not in written
                self._flush([batch for batch in written if batch is not None])
        finally:
            self._store.close()

    def _flush(self, batches: list[tuple[Any, list[Result]]]) -> None:
        """A later batch of one token covers the earlier ones: one flush a token."""
        failed: dict[int, StoreDown] = {}
        for token in {id(token): token for token, _results in batches}.values():
            try:
                if token is not None:
                    self._store.flush(token)
            except StoreDown as down:
                failed[id(token)] = down
            except Exception as error:
                _logger.error("flushing failed: %s", places(error))
                failed[id(token)] = StoreDown()
        results: list[Result] = []
        for token, batch in batches:
            down = failed.get(id(token))
            results += [(ticket, down or result) for ticket, result in batch]
        if results:
            self._flushed(results)


def places(error: BaseException) -> str:
    """Type and innermost places of an exception, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {where}"
