"""HTTP in the gateway process: the door of ``http_door`` on aiohttp.

One loop, many connections. A message is answered with 202 only after the group commit
that holds it is on disk. A client that is slow, broken or hostile costs itself only:
times, sizes and numbers are bounded, and a body is not read before its head is let in.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import http_door, problem
from .accept import Receipt
from .committer import Committer, places
from .http_connection import Connection
from .http_door import (
    PATH,
    Answer,
    Blinder,
    Head,
    Peek,
    Reader,
    Refused,
    Settings,
    answer_of,
)

if TYPE_CHECKING:
    from .gateway import GatewayCore

_logger = logging.getLogger(__name__)

READY_PATH = "/health/ready"
REPORT_SECONDS = 60.0

#: what is answered when a unit was not stored, by the verdict
REFUSALS = {"store.down": problem.UNAVAILABLE, "store.failed": problem.NOT_STORED}


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds.

    :param requests: in work at once; beyond it requests are put off
    :param memory: of the bodies of all requests in work
    :param head_time: from connecting to the end of the first request's head
    :param body_time: for a whole body
    :param idle: silence between the requests of a connection
    :param linger: how long a refused body is thrown away, so that the answer gets
        through
    :param stale: age of the settings beyond which the process is not ready
    """

    connections: int = 1000
    requests: int = 500
    memory: int = 256 * 1024 * 1024
    head_time: float = 10.0
    body_time: float = 60.0
    idle: float = 75.0
    linger: float = 1.0
    stale: float = 15.0


@dataclass(frozen=True, slots=True)
class Doors:
    """All interfaces over HTTP, as read from the database at one time.

    :param wait: seconds for which a backend is known to be over its limit
    """

    ring: Blinder
    settings: Mapping[str, Settings]
    wait: Callable[[int], float] = lambda backend_id: 0.0


class HttpPart:
    """Serves HTTP on one port; see :class:`gateway.Part`.

    :param peeks: {codec: what reads its keys}
    :param readers: {codec: what reads its fields}, for routes
    """

    def __init__(
        self,
        peeks: Mapping[str, Peek],
        readers: Mapping[str, Reader],
        port: int,
        host: str = "127.0.0.1",
        ssl: SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.counts: Counter[str] = Counter()
        self.port = port
        #: how often settings were published
        self.reads = 0
        self._peeks = peeks
        self._readers = readers
        self._host = host
        self._ssl = ssl
        self._doors: Doors | None = None
        self._published = 0.0
        self._requests = self._memory = 0
        self._connections: set[Connection] = set()
        self._reported: Counter[str] = Counter()
        self._stopping = False

    # -- life -----------------------------------------------------------------------

    def read_settings(self, cr: Any, core: GatewayCore) -> Doors:
        return Doors(core.keyring, http_door.find_all(cr), core.allowance.wait)

    async def start(self, committer: Committer) -> None:
        self._committer = committer
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(self._handle)
        self._listening = await self._loop.create_server(
            self._connect, self._host, self.port, ssl=self._ssl, backlog=1024
        )
        self.port = self._listening.sockets[0].getsockname()[1]
        self._loop.call_later(REPORT_SECONDS, self._report)
        _logger.info("HTTP on %s port %s", self._host, self.port)

    async def publish(self, doors: Doors) -> None:
        self._doors = doors
        self._published = self._loop.time()
        self.reads += 1

    async def stop(self, patience: float = 10.0) -> None:
        """Take no more connections, answer the requests whose head is here, end."""
        self._stopping = True
        self._listening.close()
        for connection in list(self._connections):
            connection.finish()
        deadline = self._loop.time() + patience
        while self._requests and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        await self._http.shutdown(1.0)
        self._report()

    def _connect(self) -> Connection:
        return Connection(
            self,
            self._http,
            loop=self._loop,
            keepalive_timeout=self.limits.idle,
            lingering_time=self.limits.linger,
            auto_decompress=False,
            access_log=None,
            logger=_logger,
        )

    # -- a request ------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._requests += 1
        request.protocol.busy = True
        try:
            answer = await self._answer(request)
        except Refused as refused:
            answer = refused.answer
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # our bug must not cost the partner its answer
            _logger.error("a request failed: %s", places(error))
            answer = answer_of(problem.NOT_STORED)
        finally:
            self._requests -= 1
            request.protocol.busy = False
        return self.response(answer)

    async def _answer(self, request: web.BaseRequest) -> Answer:
        code = _code(request.raw_path)
        if code is None:
            return self._other(request)
        if request.method != "POST":
            return answer_of(problem.METHOD)
        return http_door.reply(await self._receive(request, code))

    def _other(self, request: web.BaseRequest) -> Answer:
        if request.raw_path != READY_PATH:
            raise Refused(problem.NO_ADDRESS)
        age = self._loop.time() - self._published
        ready = self._doors is not None and age < self.limits.stale
        status = "ready" if ready else "waiting"
        return Answer(200 if ready else 503, {"status": status, "reads": self.reads})

    async def _receive(self, request: web.BaseRequest, code: str) -> Receipt:
        """Store one message; the receipt comes after its group commit."""
        if request.transport is None:
            # closed by the stop before its handling began: nobody would be answered
            raise ConnectionResetError
        doors = self._doors
        if doors is None:
            raise Refused(problem.UNAVAILABLE)
        head = Head.of(_latin1(request.raw_headers))
        settings = http_door.enter(doors.ring, doors.settings.get(code), head)
        peek = self._peeks.get(settings["codec"])
        if peek is None:
            _logger.error("interface %s: no codec for it here", settings["id"])
            raise Refused(problem.NOT_LIVE)
        if wait := doors.wait(settings["backend_id"]):
            raise http_door.throttled(wait)
        self._check_room(head.length)
        self._memory += head.length
        try:
            raw = await self._body(request, head)
            reader = self._readers.get(settings["codec"])
            return await self._store(http_door.read(settings, head, raw, peek, reader))
        finally:
            self._memory -= head.length

    def _check_room(self, length: int) -> None:
        crowded = self._requests > self.limits.requests
        if crowded or self._memory + length > self.limits.memory:
            raise Refused(problem.BUSY)

    async def _body(self, request: web.BaseRequest, head: Head) -> bytes:
        content = request.content
        if not content.is_eof():
            if head.headers.get("expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            try:
                return await asyncio.wait_for(content.read(), self.limits.body_time)
            except asyncio.TimeoutError:
                raise Refused(problem.SLOW) from None
        return await content.read()

    async def _store(self, unit: Any) -> Receipt:
        future = self._loop.create_future()
        self._committer.submit(unit, partial(_resolve, future))
        result = await future
        self.counts[result.verdict] += 1
        if result.verdict == "store.throttled":
            raise http_door.throttled(result.retry_after)
        if result.verdict in REFUSALS:
            raise Refused(REFUSALS[result.verdict])
        return result

    def response(self, answer: Answer) -> web.Response:
        if answer.status != 202:
            self.counts[str(answer.status)] += 1
        headers = {"Server": "health-gateway", **answer.all_headers}
        response = web.Response(
            status=answer.status, body=answer.content, headers=headers
        )
        if self._stopping:
            response.force_close()
        return response

    # -- connections ----------------------------------------------------------------

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for another one."""
        self.counts["connections"] += 1
        if len(self._connections) >= self.limits.connections or self._stopping:
            self.counts["closed.full"] += 1
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _report(self) -> None:
        """One line of counts a minute, when anything happened; never content."""
        news = self.counts - self._reported
        if news:
            text = " ".join(f"{code}={count}" for code, count in sorted(news.items()))
            _logger.info("HTTP, %s connections; %s", len(self._connections), text)
        self._reported = self.counts.copy()
        if not self._stopping:
            self._loop.call_later(REPORT_SECONDS, self._report)


def _code(path: str) -> str | None:
    """The interface code of a path; None for other addresses."""
    code = path.partition("?")[0].removeprefix(PATH)
    return code if code and "/" not in code else None


def _latin1(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    """As a WSGI server decodes them: a key must be the same at every door."""
    return (
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers
    )


def _resolve(future: asyncio.Future, result: Any) -> None:
    if not future.done():  # the client may be gone
        future.set_result(result)
