"""A listener without a database: for tests, and to try a partner's sender.

``with Loopback(Committer, MemoryStore()) as listener:`` runs the real server on a free
port of this machine; what it accepted is in ``listener.store``. Both come from the core
(``lib/committer.py``, ``lib/memory_store.py``).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType
from typing import Any

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
    urgent: str


class Loopback:
    """The server on a loop in a thread of its own."""

    def __init__(
        self,
        make_committer: Callable[..., Any],
        store: Any,
        flows: Sequence[Flow] = (Flow("any"),),
        limits: Limits | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self.store = store
        self._make_committer = make_committer
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
        self.run(self._stop())
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
        self._committer = self._make_committer(self.store, asyncio.get_running_loop())
        self._committer.start()
        self.server = MllpServer(self._committer, self._limits, HOST, self._tls)
        self._committer.settled = self.server.settled
        await self.server.start()
        await self.server.open({0: Door(self._flows, Unit)})
        self.port = self.server.bound(0)

    async def _stop(self) -> None:
        await self.server.stop()
        await self._committer.stop()


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
