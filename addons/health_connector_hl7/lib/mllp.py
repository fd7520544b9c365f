"""MLLP framing: ``0x0B`` message ``0x1C 0x0D`` (HL7 Implementation Guide, app. C).

Only bytes here: no sockets, no HL7. The reader is lenient where real partners are
sloppy and strict where leniency could lose data: a lone ``0x1C`` inside a message
never cuts the message short.
"""

from __future__ import annotations

START = b"\x0b"
END = b"\x1c"
TRAILER = b"\x1c\r"

#: largest frame taken unless an interface says otherwise, in bytes
MAX_FRAME = 25 * 1024 * 1024
#: bytes of an oversize frame that are kept, so that its header can be answered
HEAD = 4096

_AFTER_END = b"\r\n" + START
_HEADERS = (b"MSH", b"FHS", b"BHS")


def wrap(message: bytes) -> bytes:
    """Frame encoded bytes; framing comes after the charset, never before."""
    return START + message + TRAILER


class Deframer:
    """Cuts a stream of bytes into messages, holding at most ``max_size`` bytes.

    * bytes before ``0x0B`` are dropped and counted in :attr:`junk` (line ends that
      partners put between frames are not worth counting);
    * the CR after ``0x1C`` may be missing: :meth:`end_grace` ends such a frame;
    * a new ``0x0B`` before a header inside a frame means that the sender gave up
      the first try and started again: the first try is dropped, :attr:`restarts`.
    """

    __slots__ = ("_buffer", "_inside", "_scan", "head", "junk", "max_size", "restarts")

    def __init__(self, max_size: int = MAX_FRAME) -> None:
        self.max_size = max_size
        self.junk = 0
        self.restarts = 0
        #: first bytes of the frame that was given up; None while none was
        self.head: bytes | None = None
        self._buffer = bytearray()
        self._inside = False
        self._scan = 0

    @property
    def inside(self) -> bool:
        """A frame has begun and not ended."""
        return self._inside

    @property
    def ending(self) -> bool:
        """The end byte is here, its CR is not."""
        return self._inside and self._buffer.endswith(END)

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came; return the messages that are complete with it.

        After a frame larger than ``max_size`` :attr:`head` is set and nothing more
        is buffered: the stream has no known position any more, close it.
        """
        if self.head is not None:
            return []
        if not self._inside and self._is_one_frame(data):
            return [data[1:-2]]
        self._buffer += data
        messages: list[bytes] = []
        while self._seek() and (end := self._find_end()) is not None:
            message = self._cut(end)
            if message is None:
                return messages
            messages.append(message)
        if self._inside and len(self._buffer) > self.max_size:
            self.give_up()
        return messages

    def end_grace(self) -> bytes | None:
        """End a frame whose CR did not follow in time; None when there is none."""
        if not self.ending:
            return None
        return self._cut(len(self._buffer) - 1)

    def _is_one_frame(self, data: bytes) -> bool:
        """The common case, one read holds exactly one frame: no copy to a buffer."""
        return (
            data.startswith(START)
            and data.find(END) == len(data) - 2
            and data.endswith(TRAILER)
            and data.rfind(START) == 0
            and len(data) - 3 <= self.max_size
        )

    def _seek(self) -> bool:
        """Move to the inside of a frame; False when none has begun."""
        if self._inside:
            return True
        start = self._buffer.find(START)
        before = self._buffer if start < 0 else self._buffer[:start]
        self.junk += len(before.strip(b"\r\n"))
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._inside, self._scan = True, 0
        return True

    def _find_end(self) -> int | None:
        """Position of the end byte; a lone 0x1C within the message is passed over."""
        buffer = self._buffer
        while (end := buffer.find(END, self._scan)) >= 0:
            if end + 1 == len(buffer):
                self._scan = end
                return None
            if buffer[end + 1] in _AFTER_END:
                return end
            self._scan = end + 1
        self._scan = len(buffer)
        return None

    def _cut(self, end: int) -> bytes | None:
        message = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._inside, self._scan = False, 0
        if len(message) > self.max_size:
            self.give_up(message)
            return None
        return self._last_try(message)

    def _last_try(self, message: bytes) -> bytes:
        start = max(message.rfind(START + header) for header in _HEADERS)
        if start < 0:
            return message
        self.restarts += 1
        return message[start + 1 :]

    def give_up(self, message: bytes | bytearray = b"") -> None:
        """Drop the frame that has begun, keep its :attr:`head`; the stream is over."""
        self.head = bytes((message or self._buffer)[:HEAD])
        self._buffer.clear()
        self._inside = False
