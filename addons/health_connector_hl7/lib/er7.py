"""ER7, the pipe notation of HL7 v2: read, change, write.

A message is read once into lines; fields are split when they are asked for. Whatever
is not changed is written back byte by byte, including odd line ends, a byte order
mark and escape sequences this library would write differently.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import repeat

from . import charset as charsets, msh
from .errors import Er7Error
from .escape import NULL, Value
from .lines import BATCH_NAMES, SEGMENT_NAME, read_lines
from .msh import Delimiters, Header
from .segment import Context, Repetition, Segment, field_values

__all__ = [
    "NULL", "Er7Error", "Message", "Repetition", "Segment", "Value", "new", "parse",
]  # fmt: skip


class Message:
    """One message. ``segments`` may be reordered, extended and cut like any list."""

    def __init__(
        self, segments: list[Segment], context: Context, prefix: str = ""
    ) -> None:
        self.segments = segments
        self.context = context
        self._prefix = prefix
        self._source: bytes | None = None
        self._original: tuple[Segment, ...] = ()

    @property
    def delimiters(self) -> Delimiters:
        return self.context.delimiters

    @property
    def codec(self) -> str:
        """Python codec the message is written with."""
        return self.context.codec

    @property
    def header(self) -> Header:
        """The header as it stands now, decoded (unlike that of :func:`msh.peek`)."""
        return msh.read_header(self.segments[0].text)

    @cached_property
    def root(self):
        """The segment groups of the message structure (:mod:`.groups`), as they
        were when first asked for; a flat group when the structure is unknown."""
        from .groups import group_segments

        return group_segments(self.header, self.segments)

    def all(self, name: str) -> list[Segment]:
        """Every segment of this name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    def segment(self, name: str, nth: int = 1) -> Segment | None:
        """The nth segment of this name."""
        found = self.all(name)
        return found[nth - 1] if 0 < nth <= len(found) else None

    def add(self, name: str) -> Segment:
        """Append an empty segment.

        :raises Er7Error: ``er7.value`` when the name is not a segment name
        """
        if not SEGMENT_NAME.fullmatch(name) or name in BATCH_NAMES:
            raise Er7Error("er7.value", error_class="mapping", reason="segment_name")
        ending = (self.segments[0].ending or "\r")[:2]
        ending = ending if ending == "\r\n" else ending[:1]
        last = self.segments[-1]
        last.ending = last.ending or ending
        self.segments.append(Segment(name, self.context, ending))
        return self.segments[-1]

    def values(self) -> list[list]:
        """Every leaf of the message, see :meth:`Segment.values`."""
        header, *others = self.segments
        context = self.context
        return [
            header.values(),
            *[field_values(other._text or other.text, context) for other in others],
        ]

    def text(self) -> str:
        """The whole message as text."""
        parts = [segment.text + segment.ending for segment in self.segments]
        return self._prefix + "".join(parts)

    def render(self) -> bytes:
        """The message as bytes; all that was not changed is exactly what was read.

        :raises Er7Error: ``er7.charset`` when a value cannot be written in the
            character set of the message
        """
        if self._source is None:
            return self._encode(self.text())
        kept = self._source_lines()
        parts = [
            self._encode(segment.text + segment.ending)
            if segment.is_changed or id(segment) not in kept
            else kept[id(segment)] + segment.ending.encode("ascii")
            for segment in self.segments
        ]
        start = msh.message_start(self._source)
        return self._source[:start] + b"".join(parts)

    def _source_lines(self) -> dict[int, bytes]:
        """Bytes of each segment as read. Decoding and encoding again is not exact in
        every charset, so the bytes are cut at the same line ends as the text was."""
        start = msh.message_start(self._source)
        text = self._source[start:].decode("latin-1")
        lines, _endings = read_lines(text, self.delimiters.field)
        return {
            id(segment): line.encode("latin-1")
            for segment, line in zip(self._original, lines, strict=True)
        }

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode(self.codec)
        except UnicodeEncodeError:
            raise Er7Error(
                "er7.charset", error_class="mapping", charset=self.codec, writing=True
            ) from None

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __repr__(self) -> str:
        return f"<Message of {len(self.segments)} segments>"


def parse(source: bytes | str, charset: str = "") -> Message:
    """Read one message.

    :param source: the bytes as received (a text is taken as already decoded)
    :param charset: MSH-18 name agreed with the partner; wins over the declared one
    :raises Er7Error: AR when there is no usable header; AE with the position of the
        segment or the offset of the byte for everything behind it
    """
    raw = _to_bytes(source) if isinstance(source, str) else source
    line = msh.first_line(raw)
    delimiters = msh.line_delimiters(line)
    start = msh.message_start(raw)
    declared = msh.line_charsets(line, delimiters)
    if isinstance(source, str):
        text, codec = raw[start:].decode(), charsets.declared_codec(charset or declared)
    else:
        content = raw[start:] if start else raw
        text, codec = charsets.decode_strict(content, declared, charset)
    context = Context(delimiters, codec)
    lines, endings = read_lines(text, delimiters.field)
    segments = list(map(Segment, lines, repeat(context), endings))
    message = Message(segments, context, raw[:start].decode())
    if not isinstance(source, str):
        message._source, message._original = raw, tuple(segments)
    return message


def new(codec: str = "utf-8", version: str = "2.5.1") -> Message:
    """A message of one empty MSH with the recommended delimiters."""
    context = Context(Delimiters("|", "^", "~", "\\", "&"), codec)
    message = Message([Segment("MSH|^~\\&", context)], context)
    message.segments[0].set(version, 12)
    return message


def _to_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Er7Error(
            "er7.charset", hl7_code="102", charset="utf-8", offset=error.start
        ) from None
