"""Files and batches: FHS { [BHS] { MSH ... } [BTS] } FTS.

A batch is cut into the exact bytes of its messages. That it is complete is checked
apart (:func:`check`), so that a caller may answer the messages one by one.

Source: HL7 v2.5.1 chapter 2, §2.10.3 (batch protocol).
"""

import re
from dataclasses import dataclass

from .errors import Er7Error
from .msh import message_start

_CUT = re.compile(rb"(?:^|(?<=[\r\n]))(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])[^\r\n]*")
_COUNT = re.compile(rb"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a file held.

    :param messages: exact bytes of each message, without MLLP frame or BOM
    :param declared_count: sum of BTS-1; None when a batch does not say
    :param is_batch: False for a single plain message
    :param has_trailer: every FHS has its FTS and every BHS its BTS
    :param counts: declared (BTS-1) and counted messages of each batch with a trailer
    :param declared_batches: FTS-1; None when the file does not say
    """

    messages: list[bytes]
    declared_count: int | None
    is_batch: bool
    has_trailer: bool = True
    counts: tuple[tuple[int | None, int], ...] = ()
    declared_batches: int | None = None


def split(raw: bytes) -> Batch:
    """Cut a file, a batch, several messages in a row, or a single message.

    :raises Er7Error: ``er7.empty`` (AR); ``er7.batch_structure`` (AE) with the
        position of the header or trailer segment that stands in a wrong place, or
        when there is content before the first message
    """
    start = message_start(raw)
    raw = raw[start:] if start else raw
    if not raw.strip():
        raise Er7Error("er7.empty", ack="AR")
    marks = list(_CUT.finditer(raw))
    if not marks or marks[0].start() != 0:
        raise Er7Error("er7.batch_structure", ack="AR", position=1)
    reader = _Reader()
    ends = [mark.start() for mark in marks[1:]] + [len(raw)]
    for mark, end in zip(marks, ends, strict=True):
        reader.take(mark.group(1), mark.group(), raw[mark.start() : end])
    return reader.result()


def check(batch: Batch, trailer_required: bool = True) -> None:
    """Refuse a batch that did not arrive whole.

    :param trailer_required: False when the partner is known to leave trailers out
    :raises Er7Error: ``er7.batch_trailer`` or ``er7.batch_count`` (AE) with the
        declared and the counted number
    """
    if trailer_required and not batch.has_trailer:
        raise Er7Error("er7.batch_trailer")
    counts = [("BTS", *pair) for pair in batch.counts]
    counts.append(("FTS", batch.declared_batches, max(len(batch.counts), 1)))
    for segment, declared, counted in counts:
        if declared is not None and declared != counted:
            raise Er7Error(
                "er7.batch_count",
                hl7_code="102",
                segment=segment,
                field=1,
                declared=declared,
                counted=counted,
            )


class _Reader:
    """Follows the nesting while segments are handed in one by one."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.counts: list[tuple[int | None, int]] = []
        self.file_count: int | None = None
        self._taken = 0
        self._open: list[bytes] = []
        self._counted = 0
        self._ended = False
        self._missing_trailer = False

    def take(self, name: bytes, segment: bytes, block: bytes) -> None:
        """One header, trailer or message; ``block`` reaches to the next of them."""
        self._taken += 1
        if self._ended:
            raise self._misplaced()
        if name == b"MSH":
            self.messages.append(block)
            return
        if block[len(segment) :].strip():
            raise self._misplaced()
        if name in (b"FHS", b"BHS"):
            self._begin(name)
        elif name == b"BTS":
            self._end_batch(_first_number(segment))
        else:
            self.file_count, self._ended = _first_number(segment), True
            self._missing_trailer = b"BHS" in self._open
            self._open = []

    def _begin(self, name: bytes) -> None:
        if b"BHS" in self._open or (name == b"FHS" and self._taken > 1):
            raise self._misplaced()
        self._open.append(name)

    def _end_batch(self, declared: int | None) -> None:
        self.counts.append((declared, len(self.messages) - self._counted))
        self._counted = len(self.messages)
        if b"BHS" in self._open:
            self._open.remove(b"BHS")

    def _misplaced(self) -> Er7Error:
        return Er7Error("er7.batch_structure", position=self._taken)

    def result(self) -> Batch:
        declared = [count for count, _counted in self.counts]
        known = bool(declared) and None not in declared
        return Batch(
            messages=self.messages,
            declared_count=sum(declared) if known else None,
            is_batch=(self._taken, len(self.messages)) != (1, 1),
            has_trailer=not self._open and not self._missing_trailer,
            counts=tuple(self.counts),
            declared_batches=self.file_count,
        )


def _first_number(segment: bytes) -> int | None:
    field = segment[4:].split(segment[3:4] or b"|", 1)[0].strip()
    return int(field) if _COUNT.fullmatch(field) else None
