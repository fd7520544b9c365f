"""The MLLP listener: many connections, one loop, one committer.

A positive answer leaves this process only after the commit of the message it
answers. A connection that is slow, broken or hostile costs itself only.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from ssl import SSLContext
from typing import Any, Protocol

from .ack import Problem
from .connection import Connection, Exchange, Limits
from .door import Door
from .intake import (
    INTERNAL,
    STOPPING,
    THROTTLED,
    UNAVAILABLE,
    UNPROCESSED,
    Frame,
    Piece,
    Receipt,
    open_frame,
)

_logger = logging.getLogger(__name__)

SWEEP_SECONDS = 0.25
REPORT_SECONDS = 60.0
READ_BYTES = 256 * 1024

#: what is answered when a unit was not stored, by the verdict
REFUSALS = {
    "store.down": UNAVAILABLE,
    "store.failed": INTERNAL,
    "store.throttled": THROTTLED,
}


class Committer(Protocol):
    """What is needed of the core's group commit (its ``lib/committer.py``), which
    several servers may share; whoever made it starts and stops it."""

    def submit(self, unit: Any, ticket: Callable[[Any], None]) -> None: ...

    def watch(self, message_id: int) -> None: ...

    def forget(self, message_id: int) -> None: ...


class MllpServer:
    """Listens on the ports of its doors.

    :param host: address to bind
    :param ssl: for MLLP over TLS on all ports
    """

    def __init__(
        self,
        committer: Committer,
        limits: Limits | None = None,
        host: str = "127.0.0.1",
        ssl: SSLContext | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.counts: Counter[str] = Counter()
        #: bytes held by all connections, in frames begun and frames in work
        self.memory = 0
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self._committer = committer
        self._host = host
        self._ssl = ssl
        self._doors: dict[int, Door] = {}
        self._listening: dict[int, asyncio.Server] = {}
        self._unopened: set[int] = set()
        self._connections: set[Connection] = set()
        self._held: dict[int, list[tuple[Exchange, Piece, Receipt, float]]] = {}
        self._reported: Counter[str] = Counter()
        self._stopping = False
        self._changing = asyncio.Lock()

    # -- life ---------------------------------------------------------------------

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.later = self._loop.call_later
        self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._loop.call_later(REPORT_SECONDS, self._report)

    async def open(self, doors: Mapping[int, Door]) -> None:
        """Listen on exactly these ports. Connections of a port that closes are ended
        when they are answered; those of a port that stays see the new door."""
        async with self._changing:
            for port in self._listening.keys() - doors.keys():
                self._close_port(port)
            self._doors = dict(doors)
            for port in doors.keys() - self._listening.keys():
                await self._open_port(port)
            for connection in self._connections:
                connection.resize(self.frame_size(connection.port))

    async def stop(self, patience: float = 10.0) -> None:
        """Take no more, answer what is in work, end. Never raises for a peer."""
        self._stopping = True
        async with self._changing:
            for port in list(self._listening):
                self._close_port(port)
        self._release_held(STOPPING, "hl7.stopping")
        for connection in list(self._connections):
            connection.finish("closed.stopping")
        deadline = self.now() + patience
        while self._connections and self.now() < deadline:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()
        self._report()

    def bound(self, port: int) -> int:
        """The real number of a port asked for as 0."""
        return self._listening[port].sockets[0].getsockname()[1]

    async def _open_port(self, port: int) -> None:
        try:
            server = await self._loop.create_server(
                lambda: Connection(self, port), self._host, port, ssl=self._ssl
            )
        except OSError as error:
            if port not in self._unopened:  # tried again at every change: say it once
                _logger.error("port %s cannot be opened: %s", port, error.strerror)
            self._unopened.add(port)
            return
        self._listening[port] = server
        self._unopened.discard(port)
        _logger.info("listening on %s port %s", self._host, port)

    def _close_port(self, port: int) -> None:
        self._listening.pop(port).close()
        self._doors.pop(port, None)
        _logger.info("port %s closed", port)
        for connection in list(self._connections):
            if connection.port == port:
                connection.finish("closed.port")

    # -- connections --------------------------------------------------------------

    def frame_size(self, port: int) -> int:
        door = self._doors.get(port)
        return min(door.max_size if door else 0, self.limits.frame_size)

    def opened(self, connection: Connection) -> None:
        self.counts["connections"] += 1
        if len(self._connections) >= self.limits.connections and not self._make_room():
            self.counts["closed.full"] += 1
            connection.abort()
            return
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def count(self, code: str) -> None:
        self.counts[code] += 1

    def _make_room(self) -> bool:
        """End the longest silence, when it lasted long enough to be nobody's work."""
        idle = [(c.idle_since(), id(c), c) for c in self._connections]
        since, _id, oldest = min(
            (entry for entry in idle if entry[0] is not None),
            default=(None, 0, None),
        )
        if since is None or self.now() - since < self.limits.make_room:
            return False
        oldest.finish("closed.made_room")
        return True

    # -- messages -----------------------------------------------------------------

    def open_exchange(self, connection: Connection, message: bytes) -> Exchange:
        """Take a message apart; whatever it is made of, it gets an answer."""
        self.counts["frames"] += 1
        self.memory += len(message)
        door = self._doors.get(connection.port)
        if door is None:
            frame = Frame([Piece(message).refuse(STOPPING, "hl7.stopping")])
        else:
            try:
                frame = open_frame(message, door)
            except Exception as error:  # our bug must not cost the partner its answer
                _logger.error("a frame could not be read: %s", _place(error))
                frame = Frame([Piece(message).refuse(INTERNAL, "hl7.bug")])
        return Exchange(connection, frame, len(message))

    def process(self, exchange: Exchange) -> None:
        """Have the messages stored that passed the door; answer when none did."""
        for piece in exchange.frame.pieces:
            if piece.answer is None:
                ticket = partial(self._deliver, exchange, piece)
                self._committer.submit(piece.unit, ticket)
            else:
                self.counts[piece.code] += 1
        self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        if exchange.frame.settled:
            self.memory -= exchange.size
            exchange.size = 0
            exchange.connection.flush()

    def _deliver(self, exchange: Exchange, piece: Piece, result: Any) -> None:
        if result.verdict == "store.down" and piece.flow.outage == "close":
            piece.keep_silent("store.down")
            exchange.connection.abandon()
        elif result.verdict in REFUSALS:
            piece.refuse(REFUSALS[result.verdict], result.verdict)
        elif piece.waits_for_processing and result.verdict != "conflict":
            self._hold(exchange, piece, result)
            return
        else:
            piece.settle(result)
        self.counts[piece.code] += 1
        self._settle(exchange)

    # -- answers after processing ---------------------------------------------------

    def _hold(self, exchange: Exchange, piece: Piece, receipt: Receipt) -> None:
        """Keep the answer until the stored message is processed, or the time is up."""
        self.counts[receipt.verdict] += 1
        if self._stopping:
            piece.refuse(STOPPING, "hl7.stopping")
            self._settle(exchange)
            return
        deadline = self.now() + piece.flow.answer_seconds
        entry = (exchange, piece, receipt, deadline)
        self._held.setdefault(receipt.message_id, []).append(entry)
        self._committer.watch(receipt.message_id)

    def settled(self, outcomes: Mapping[int, Any]) -> None:
        """The processing of watched messages has ended: None for success, or the
        problem to answer."""
        for message_id, problem in outcomes.items():
            for exchange, piece, receipt, _deadline in self._held.pop(message_id, ()):
                piece.settle(receipt, problem)
                self._settle(exchange)

    def _release_held(self, problem: Problem, code: str, now: float = inf) -> None:
        """Refuse, for now, the answers whose time is up (all, unless told the time).

        They are stored; the sender hears a retryable error rather than a promise.
        """
        for message_id, entries in list(self._held.items()):
            late = [entry for entry in entries if entry[3] < now]
            for entry in late:
                exchange, piece, _receipt, _deadline = entry
                entries.remove(entry)
                self.counts[code] += 1
                piece.refuse(problem, code)
                self._settle(exchange)
            if not entries:
                del self._held[message_id]
                self._committer.forget(message_id)

    # -- regular work ---------------------------------------------------------------

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self._connections):
            connection.sweep(now)
        self._release_held(UNPROCESSED, "hl7.unprocessed", now)
        self.later(SWEEP_SECONDS, self._sweep)

    def _report(self) -> None:
        """One line of counts a minute, when anything happened; never content."""
        news = self.counts - self._reported
        if news:
            text = " ".join(f"{code}={count}" for code, count in sorted(news.items()))
            _logger.info("%s connections; %s", len(self._connections), text)
        self._reported = self.counts.copy()
        if not self._stopping:
            self.later(REPORT_SECONDS, self._report)


def _place(error: BaseException) -> str:
    """Type and innermost place of an exception, without what it says."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}"
    )
