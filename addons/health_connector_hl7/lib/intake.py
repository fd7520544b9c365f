"""From a frame to units to store, and from receipts to the answering frame.

No sockets and no database: the server submits the units and brings the results.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Protocol

from . import ack, batch
from .ack import ERROR, Envelope, Problem
from .door import ACKNOWLEDGEMENTS, Door, Flow, Refusal
from .errors import Er7Error
from .msh import message_start

_ACKNOWLEDGEMENTS = frozenset(code.encode() for code in ACKNOWLEDGEMENTS)
_BATCH_HEADERS = (b"BHS", b"FHS")
_SECOND_IS_MSA = re.compile(rb"[^\r\n]*[\r\n]+MSA(?![A-Za-z0-9])")

CONFLICT = Problem(
    205, ERROR, "MSH", 10, "This control id was used before for another message"
)
INTERNAL = Problem(207, ERROR, hint="Not stored. Send the same message again later")
UNAVAILABLE = Problem(
    207, ERROR, hint="The store is not available. Send the same message again later"
)
INCOMPLETE = Problem(
    100, ERROR, "BTS", 1, "The batch is incomplete. Nothing of it was stored"
)
BUSY = Problem(207, ERROR, hint="Too much at once. Send the same message again later")
THROTTLED = Problem(
    207, ERROR, hint="More messages came than agreed. Send the same message again later"
)
UNPROCESSED = Problem(
    207, ERROR, hint="Stored, not processed in time. Send the same message again"
)
STOPPING = Problem(207, ERROR, hint="The listener stops. Send the same message again")


class Receipt(Protocol):
    """What is needed of the receipt of the core's accept."""

    message_id: int
    uid: str
    verdict: str
    accepted_at: datetime


class Piece:
    """One message of a frame, with everything its answer needs.

    ``answer`` is None until the outcome is known, empty when the sender wants none.
    """

    __slots__ = ("answer", "code", "envelope", "flow", "mute", "stamp", "unit")

    def __init__(self, raw: bytes) -> None:
        self.envelope = Envelope(raw)
        self.mute = _is_mute(self.envelope, raw)
        self.flow: Flow | None = None
        self.unit: Any = None
        self.code = ""
        self.answer: bytes | None = None
        self.stamp: datetime | None = None

    def enter(self, raw: bytes, door: Door) -> Piece:
        """Pass the door, or be refused there."""
        try:
            self.flow, self.unit = door.admit(raw)
        except Refusal as refusal:
            self.refuse(refusal.problem, refusal.code)
        return self

    @property
    def waits_for_processing(self) -> bool:
        """The sender is to hear the outcome, not just that the message is safe."""
        if self.flow is None or self.flow.answer_after != "application":
            return False
        return not self.mute and self.envelope.mode.prefix == "A"

    def refuse(self, problem: Problem, code: str) -> Piece:
        """Answer that it is not stored.

        :param code: why, for the counters; free of content
        """
        self.code = code
        self._reply(ack.utc_now(), ack.fresh_key(), problem)
        return self

    def settle(self, receipt: Receipt, problem: Problem | None = None) -> None:
        """Answer with the receipt of the stored message, after its commit."""
        self.code = receipt.verdict
        if receipt.verdict == "conflict":
            problem = CONFLICT
        self._reply(receipt.accepted_at, ack.key_of(receipt.uid), problem)

    def keep_silent(self, code: str) -> None:
        """No answer at all, not even a negative one."""
        self.code = code
        self.answer = b""

    def _reply(self, stamp: datetime, key: str, problem: Problem | None) -> None:
        self.stamp = stamp
        if self.mute:
            self.answer = b""
        else:
            self.answer = ack.acknowledge(self.envelope, stamp, key, problem)


def _is_mute(envelope: Envelope, raw: bytes) -> bool:
    """Never acknowledge an acknowledgement.

    An ACK gets nothing. Another response (ORL, RRI …: its second segment is MSA) is
    itself an application answer and gets at most the commit answer it asks for.
    """
    if envelope.components(9)[0] in _ACKNOWLEDGEMENTS:
        return True
    return envelope.mode.prefix == "A" and bool(_SECOND_IS_MSA.match(raw))


class Frame:
    """The messages of one frame, one or a batch, and the answer to all of it."""

    __slots__ = ("_header", "pieces")

    def __init__(self, pieces: list[Piece], header: Envelope | None = None) -> None:
        self.pieces = pieces
        self._header = header

    @property
    def settled(self) -> bool:
        return all(piece.answer is not None for piece in self.pieces)

    def reply(self) -> bytes:
        """The answering message; empty when nobody wants one. Needs all answers.

        The answer to a batch is made of its answers, so that it repeats with them.
        """
        answered = [piece for piece in self.pieces if piece.answer]
        answers = [piece.answer for piece in answered]
        if self._header is None or (self.pieces and not answers):
            return b"".join(answers)
        stamps = [piece.stamp.replace(tzinfo=None) for piece in answered]
        stamp = max(stamps, default=ack.utc_now())
        key = ack.key_of(*(answer.hex() for answer in answers))
        return ack.batch_reply(self._header, answers, stamp, key)


def open_frame(raw: bytes, door: Door) -> Frame:
    """Take a frame apart and let its messages pass the door.

    Of a batch that did not arrive whole nothing passes: it will come again.
    """
    start = message_start(raw)
    if raw[start : start + 3] not in _BATCH_HEADERS:
        return Frame([Piece(raw).enter(raw, door)])
    header = Envelope(raw)
    pieces: list[Piece] = []
    try:
        parts = batch.split(raw)
        pieces = [Piece(message) for message in parts.messages]
        batch.check(parts)
    except Er7Error as error:
        alone = pieces or [Piece(_as_message(header))]
        refused = [piece.refuse(INCOMPLETE, error.code) for piece in alone]
        return Frame(refused, header if pieces else None)
    messages = zip(pieces, parts.messages, strict=True)
    return Frame([piece.enter(text, door) for piece, text in messages], header)


def _as_message(header: Envelope) -> bytes:
    """A batch header as MSH, to answer with one ACK that names the batch."""
    field = header.field
    names = [b"MSH", header.encoding, field(3), field(4), field(5), field(6)]
    names += [b"", b"", b"", field(11)]
    return header.separator.join(names)
