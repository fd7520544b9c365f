"""One HTTP connection of the gateway: what aiohttp leaves to its users."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import problem
from .http_door import answer_of

if TYPE_CHECKING:
    from .http_server import HttpPart


class Connection(web.RequestHandler):
    """A connection whose first head must come in time, and whose unreadable requests
    are answered in our own words."""

    def __init__(self, part: HttpPart, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._part = part
        self.busy = False

    def finish(self) -> None:
        """End when the request in work is answered; now, when there is none."""
        if self.busy:
            self.close()
        else:
            self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._part.opened(self):
            self._loop.call_later(self._part.limits.head_time, self._check_head)
        else:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._part.closed(self)
        super().connection_lost(exc)

    def _check_head(self) -> None:
        if not self._request_count and not self._force_close:
            self._part.counts["closed.slow"] += 1
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp's own text may quote the request."""
        why = problem.MALFORMED if status < 500 else problem.NOT_STORED
        response = self._part.response(answer_of(why))
        response.force_close()
        return response
