"""A listener without a database: for tests, and to try a partner's sender.

``with Loopback(flows) as listener:`` runs the real server on a free port of this
machine; what it accepted is in ``listener.store``.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from ssl import SSLContext
from types import TracebackType
from typing import Any

from .committer import NotStored, StoreDown
from .connection import Limits
from .door import Door, Flow
from .mllp import Deframer, wrap
from .mllp_server import MllpServer

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Unit:
    """The fields of the core's ``Incoming``."""

    channel: Any
    raw: bytes
    dedupe_key: str
    order_key: str
    message_type: str
    external_ref: str
    content_type: str
    charset: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The fields of the core's ``Receipt``."""

    message_id: int
    uid: str
    verdict: str
    accepted_at: datetime


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
        self.units: list[Unit] = []
        self.batches: list[int] = []
        self.down = self.lost = False
        self.poison: Callable[[Unit], bool] = lambda unit: False
        self.ended: dict[int, Any] = {}
        self.gate, self.flush_gate = threading.Event(), threading.Event()
        self.gate.set()
        self.flush_gate.set()
        self._seen: dict[tuple, tuple[bytes, Stored]] = {}

    def write(self, units: Sequence[Unit]) -> tuple[list[Stored | NotStored], Any]:
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

    def _store(self, unit: Unit) -> Stored | NotStored:
        if self.poison(unit):
            return NotStored()
        key = (unit.channel, unit.dedupe_key)
        raw, first = self._seen.get(key, (None, None))
        if first and raw == unit.raw:
            return Stored(first.message_id, first.uid, "duplicate", first.accepted_at)
        self.units.append(unit)
        verdict = "conflict" if first else "new"
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        receipt = Stored(len(self.units), uuid.uuid4().hex, verdict, now)
        self._seen.setdefault(key, (unit.raw, receipt))
        return receipt


class Loopback:
    """The server on a loop in a thread of its own."""

    def __init__(
        self,
        flows: Sequence[Flow] = (Flow("any"),),
        limits: Limits | None = None,
        store: MemoryStore | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.port = 0
        self._flows = flows
        self._limits = limits
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        """Run something on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def set_flows(self, flows: Sequence[Flow]) -> None:
        """Change the settings while connections are open; none closes the port."""
        self.run(self.server.open({0: Door(flows, Unit)} if flows else {}))

    async def _start(self) -> None:
        self.server = MllpServer(self.store, self._limits, HOST, self._tls)
        await self.server.start()
        await self.server.open({0: Door(self._flows, Unit)})
        self.port = self.server.bound(0)


class Peer:
    """A blocking client that shows exactly what comes over the wire."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self.socket = socket.create_connection((HOST, port), timeout)
        self._deframer = Deframer()
        self._ready: list[bytes] = []

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def ask(self, message: bytes) -> bytes | None:
        """Send one message in a frame, return the answering message."""
        self.send(wrap(message))
        return self.receive()

    def receive(self) -> bytes | None:
        """The next answer; None when the listener closed instead.

        :raises TimeoutError: it did neither
        """
        while not self._ready:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._ready += self._deframer.feed(data)
        return self._ready.pop(0)

    def hears_nothing(self, seconds: float = 0.3) -> bool:
        """True when no answer comes and the connection stays open."""
        timeout = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(timeout)
        return False
