"""Sending over MLLP: one message out, its answer in, and what that means.

The outcome is never guessed. What was not connected is known not to be delivered; a
negative answer is a known rejection; a message that may have arrived is *unknown*,
and is sent again with the same MSH-10 only.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from ssl import SSLContext, SSLError

from . import batch, msh
from .errors import Er7Error
from .mllp import Deframer, wrap

MAX_ANSWER = 1024 * 1024

#: kind of outcome -> what is known about the delivery
DELIVERY = {
    "acked": "delivered",
    "nak_ae": "rejected",
    "nak_ar": "rejected",
    "no_connect": "not_delivered",
    "partial_write": "unknown",
    "timeout": "unknown",
    "mismatched": "unknown",
    "unparsable": "unknown",
}

_POSITIVE = ("AA", "CA")
_KIND_OF_CODE = {"AE": "nak_ae", "CE": "nak_ae", "AR": "nak_ar", "CR": "nak_ar"}
#: table 0357: the receiver cannot now, the message may be right
_NOT_NOW = ("206", "207")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message.

    :param kind: one of :data:`DELIVERY`
    :param detail: for the attempt's record; a name of ours, free of content
    :param ack_code: MSA-1 as received
    :param conditions: codes of table 0357 in the answer's ERR segments
    :param answer: the answering message; payload, to be sealed
    """

    kind: str
    detail: str = ""
    ack_code: str = ""
    conditions: tuple[str, ...] = ()
    answer: bytes = field(default=b"", repr=False)

    @property
    def delivery(self) -> str:
        """``delivered``, ``rejected``, ``not_delivered`` or ``unknown``."""
        return DELIVERY[self.kind]

    @property
    def error_class(self) -> str:
        """Class of the error policy; empty when delivered.

        A partner that is locked or has an internal error may take the same message
        later; any other negative answer needs somebody to look at it.
        """
        if self.kind == "acked":
            return ""
        if self.kind == "nak_ae" and any(each in _NOT_NOW for each in self.conditions):
            return "transient"
        return "rejected" if self.delivery == "rejected" else "transient"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to write the frame, to wait for the whole answer."""

    connect: float = 5.0
    write: float = 30.0
    answer: float = 30.0


def send(
    host: str,
    port: int,
    message: bytes,
    timeouts: Timeouts | None = None,
    tls: SSLContext | None = None,
) -> Outcome:
    """Send one message on a connection of its own. See :meth:`Sender.send`."""
    with Sender(host, port, timeouts, tls) as sender:
        return sender.send(message)


class Sender:
    """A connection kept open between messages, one message in flight.

    After any doubt the connection is closed, and an answer that comes when nobody
    waits for one closes it too: a late answer is never taken for the next message's.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeouts: Timeouts | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._address = (host, port)
        self._timeouts = timeouts or Timeouts()
        self._tls = tls
        self._socket: socket.socket | None = None

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def send(self, message: bytes) -> Outcome:
        """Send one message and wait for its answer. Never raises for the network.

        :param message: encoded, without frame; MSH-10 must be set
        :raises Er7Error: the message has no readable header or no control id
        """
        header = msh.peek(message)
        msh.check(header)
        outcome = self._connect() or self._write(message)
        outcome = outcome or self._read(header.control_id)
        if outcome.delivery in ("unknown", "not_delivered"):
            self.close()
        return outcome

    def _connect(self) -> Outcome | None:
        if self._socket is not None and _is_quiet(self._socket):
            return None
        self.close()
        try:
            plain = socket.create_connection(self._address, self._timeouts.connect)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._secure(plain)
        except (OSError, UnicodeError) as error:
            return Outcome("no_connect", _name(error))
        return None

    def _secure(self, plain: socket.socket) -> socket.socket:
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._address[0])
        except (OSError, ValueError):
            plain.close()
            raise

    def _write(self, message: bytes) -> Outcome | None:
        """An error while writing leaves it open how much of it has arrived."""
        try:
            self._socket.settimeout(self._timeouts.write)
            self._socket.sendall(wrap(message))
        except OSError as error:
            return Outcome("partial_write", _name(error))
        return None

    def _read(self, control_id: str) -> Outcome:
        deadline = time.monotonic() + self._timeouts.answer
        deframer = Deframer(MAX_ANSWER)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return Outcome("timeout", "no_answer")
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(65536)
            except TimeoutError:
                return Outcome("timeout", "no_answer")
            except OSError as error:
                return Outcome("timeout", _name(error))
            if not data:
                return _ended(deframer, control_id)
            answers = deframer.feed(data)
            if deframer.head is not None:
                return Outcome("unparsable", "too_long", answer=deframer.head)
            if answers:
                return self._judge(answers, control_id)

    def _judge(self, answers: list[bytes], control_id: str) -> Outcome:
        if len(answers) > 1:
            self.close()
        return judge(answers[0], control_id)


def judge(answer: bytes, control_id: str) -> Outcome:
    """What an answering message says about the message with ``control_id``."""
    try:
        fields = _acknowledgement(answer)
    except Er7Error as error:
        return Outcome("unparsable", error.code, answer=answer)
    code, reference = fields[1:3]
    if reference != control_id.strip():
        return Outcome("mismatched", "msa_2", code, answer=answer)
    conditions = tuple(_conditions(answer))
    if code in _POSITIVE:
        return Outcome("acked", "", code, conditions, answer)
    kind = _KIND_OF_CODE.get(code)
    if kind is None:
        return Outcome("unparsable", "msa_1", answer=answer)
    return Outcome(kind, "", code, conditions, answer)


def _acknowledgement(answer: bytes) -> list[str]:
    """The fields of the one MSA segment, as texts of raw bytes.

    :raises Er7Error: no header, no MSA, or more than one message in the frame
    """
    header = msh.peek(answer)
    if len(batch.split(answer).messages) != 1:
        raise Er7Error("mllp.answer_count")
    lines = [line for line in _lines(answer) if line[:4] == "MSA" + header.field_sep]
    if len(lines) != 1:
        raise Er7Error("mllp.answer_msa")
    fields = [field.strip() for field in lines[0].split(header.field_sep)]
    return fields + [""] * (3 - len(fields))


def _conditions(answer: bytes) -> list[str]:
    """Codes of table 0357: ERR-3, or before 2.5 the fourth component of ERR-1."""
    delimiters = msh.peek(answer).delimiters
    found = []
    for line in _lines(answer):
        name, *fields = line.split(delimiters.field)
        if name != "ERR":
            continue
        first, coded = (fields + ["", "", ""])[0:3:2]
        if not coded:
            coded = (first.split(delimiters.component) + [""] * 4)[3]
        code = coded.replace(delimiters.subcomponent or "&", delimiters.component)
        code = code.split(delimiters.component)[0]
        if len(code) == 3 and code.isdigit():
            found.append(code)
    return found


def _lines(answer: bytes) -> list[str]:
    return answer.decode("latin-1").replace("\n", "\r").split("\r")


def _ended(deframer: Deframer, control_id: str) -> Outcome:
    """The partner hung up: without an answer, or in the middle of one."""
    if deframer.ending:
        return judge(deframer.end_grace() or b"", control_id)
    if deframer.inside or deframer.junk:
        return Outcome("unparsable", "cut_off")
    return Outcome("timeout", "closed")


def _is_quiet(connection: socket.socket) -> bool:
    """Nothing to read: no late answer, no end of the connection."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            return not selector.select(0)
    except (OSError, ValueError):
        return False


def _name(error: Exception) -> str:
    """Kind of a network error; its text may name hosts and is left out."""
    if isinstance(error, SSLError):
        return "tls"
    return type(error).__name__
