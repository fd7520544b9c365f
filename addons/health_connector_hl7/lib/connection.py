"""One MLLP connection: bytes in, frames in order, answers in the same order.

Nothing here waits. Limits in time are enforced by the server's sweep, so a slow or
silent peer costs a few hundred bytes and nobody else's time.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ack import Problem
from .door import too_long
from .intake import BUSY, Frame, Piece
from .mllp import MAX_FRAME, Deframer, wrap

if TYPE_CHECKING:
    from .mllp_server import MllpServer


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds.

    :param byte_gap: longest pause inside a frame
    :param frame_time: longest time for a whole frame
    :param idle: longest silence between frames
    :param end_grace: how long the CR after the end byte is waited for
    :param unread: how long a peer may leave our answers unread
    :param linger: how long input is thrown away so that a last answer gets through
    :param window: frames of one connection in work before its input is paused
    :param junk: bytes outside of frames before the connection is given up
    :param memory: bytes of all connections together; beyond it a connection with an
        unfinished frame is refused for now
    :param make_room: when full, the longest silence is ended if it lasted this long
    """

    connections: int = 500
    frame_size: int = MAX_FRAME
    byte_gap: float = 2.0
    frame_time: float = 60.0
    idle: float = 3600.0
    end_grace: float = 0.05
    unread: float = 10.0
    linger: float = 1.0
    window: int = 32
    junk: int = 64 * 1024
    memory: int = 256 * 1024 * 1024
    make_room: float = 60.0


class Exchange:
    """One frame and the place of its answer in the order of its connection."""

    __slots__ = ("connection", "frame", "size")

    def __init__(self, connection: Connection, frame: Frame, size: int) -> None:
        self.connection = connection
        self.frame = frame
        self.size = size


class Connection(asyncio.BufferedProtocol):
    """A peer. Lives on the loop of its server, which alone touches it.

    All connections of a server read into the same buffer: what is in it is taken out
    before the next one reads.
    """

    def __init__(self, server: MllpServer, port: int) -> None:
        self.port = port
        self._server = server
        self._limits = server.limits
        self._deframer = Deframer(server.frame_size(port))
        self._exchanges: deque[Exchange] = deque()
        #: no more input is taken; the connection ends when all is answered
        self._finishing = False
        self._paused = False
        self._changed = self._frame_since = server.now()
        self._unread_since = self._linger_until = 0.0

        self._transport: asyncio.Transport

    # -- asyncio ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        channel = transport.get_extra_info("socket")
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._exchanges.clear()
        self._finishing = True
        self._drop_partial("closed.inside_frame")
        self._server.closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._finishing:
            return
        data = bytes(self._server.read_buffer[:nbytes])
        deframer = self._deframer
        was_inside, held = deframer.inside, deframer.buffered
        messages = deframer.feed(data)
        self._changed = now = self._server.now()
        if messages or not was_inside:
            self._frame_since = now
        for message in messages:
            self._receive(message)
        if deframer.buffered or held:
            self._server.memory += deframer.buffered - held
        if deframer.inside or deframer.head is not None or deframer.junk:
            self._check_input()

    def eof_received(self) -> bool:
        """Half-closed: what is complete is answered, then the connection ends."""
        self._end_grace(self._deframer.buffered)
        self.finish("closed.inside_frame")
        return bool(self._exchanges) and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """The peer does not read its answers: take no more from it."""
        self._unread_since = self._server.now()
        self._pause()

    def resume_writing(self) -> None:
        self._unread_since = 0.0
        self._resume()

    # -- input --------------------------------------------------------------------

    def _receive(self, message: bytes) -> None:
        if not message.strip():
            self._server.count("frames.empty")
            return
        exchange = self._server.open_exchange(self, message)
        self._exchanges.append(exchange)
        if len(self._exchanges) >= self._limits.window:
            self._pause()
        self._server.process(exchange)

    def _check_input(self) -> None:
        deframer, limits = self._deframer, self._limits
        if deframer.head is not None:
            self._refuse_rest(too_long(), "hl7.too_long")
        elif deframer.junk > limits.junk:
            self._drop("closed.junk")
        elif deframer.ending:
            self._server.later(limits.end_grace, self._end_grace, deframer.buffered)
        elif deframer.inside and self._server.memory > limits.memory:
            self._server.memory -= deframer.buffered
            deframer.give_up()
            self._refuse_rest(BUSY, "hl7.busy")

    def _end_grace(self, buffered: int) -> None:
        """The CR did not come: the frame ended with its end byte."""
        deframer = self._deframer
        if self._finishing or deframer.buffered != buffered or not deframer.ending:
            return
        self._server.memory -= buffered
        message = deframer.end_grace()
        if message is not None:
            self._receive(message)

    def _refuse_rest(self, problem: Problem, code: str) -> None:
        """Answer a frame that will not be read to its end, then hang up."""
        piece = Piece(self._deframer.head or b"").refuse(problem, code)
        self._server.count(code)
        self._exchanges.append(Exchange(self, Frame([piece]), 0))
        self._finishing = True
        self._linger_until = self._server.now() + self._limits.linger
        self.flush()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        crowded = len(self._exchanges) >= self._limits.window
        if self._paused and not self._unread_since and not crowded:
            self._paused = False
            self._changed = self._server.now()
            self._transport.resume_reading()

    # -- output -------------------------------------------------------------------

    def flush(self) -> None:
        """Send the answers that are due; an earlier open exchange holds back later."""
        exchanges = self._exchanges
        replies = []
        while exchanges and exchanges[0].frame.settled:
            reply = exchanges.popleft().frame.reply()
            if reply:
                replies.append(wrap(reply))
        if replies:
            self._transport.write(b"".join(replies))
        if self._paused:
            self._resume()
        if self._finishing and not exchanges:
            self._end()

    def finish(self, code: str) -> None:
        """Take no more input; end when all that is complete is answered."""
        if self._finishing:
            return
        self._finishing = True
        self._drop_partial(code)
        self.flush()

    def abandon(self) -> None:
        """Hang up on messages whose fate the peer must not be told."""
        self.flush()
        self._exchanges.clear()
        self._drop("closed.store_down")

    def _end(self) -> None:
        if not self._linger_until:
            self._transport.close()
        elif self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def _drop(self, code: str) -> None:
        self._server.count(code)
        self._finishing = True
        self._drop_partial("")
        self._transport.close()

    def _drop_partial(self, code: str) -> None:
        deframer = self._deframer
        if deframer.inside:
            if code:
                self._server.count(code)
            self._server.memory -= deframer.buffered
            deframer.give_up()

    def abort(self) -> None:
        self._transport.abort()

    # -- limits -------------------------------------------------------------------

    def resize(self, frame_size: int) -> None:
        self._deframer.max_size = frame_size

    def idle_since(self) -> float | None:
        """When the last byte came, if nothing is going on; None if something is."""
        busy = self._exchanges or self._deframer.inside
        return None if busy else self._changed

    def sweep(self, now: float) -> None:
        """End the connection when one of its times is up."""
        limits, inside = self._limits, self._deframer.inside
        if self._linger_until:
            if now > self._linger_until:
                self._transport.abort()
        elif self._unread_since and now - self._unread_since > limits.unread:
            self._server.count("closed.unread")
            self._transport.abort()
        elif inside and not self._paused:
            slow = now - self._changed > limits.byte_gap
            if slow or now - self._frame_since > limits.frame_time:
                self._drop("closed.slow")
        elif not self._exchanges and now - self._changed > limits.idle:
            self._drop("closed.idle")
