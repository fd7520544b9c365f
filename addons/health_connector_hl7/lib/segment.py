"""One segment: its fields, repetitions, components and subcomponents.

Numbers are those of the standard and count from 1; MSH-1 is the field separator and
MSH-2 the encoding characters.
"""

from typing import NamedTuple

from .errors import Er7Error
from .escape import Null, Value, escape, read_leaf, unescape
from .msh import NULL_TEXT, Delimiters

MAX_NUMBER = 9999


class Context(NamedTuple):
    """What every part of one message shares."""

    delimiters: Delimiters
    codec: str


class Repetition:
    """One occurrence of a field: the node a loop over ``PID-3(*)`` yields."""

    __slots__ = ("_context", "raw")

    def __init__(self, raw: str, context: Context) -> None:
        self.raw = raw
        self._context = context

    def get(self, component: int = 0, subcomponent: int = 1) -> Value:
        """Value of a component (of its first subcomponent unless told otherwise).

        Component 0 means the whole occurrence: its text when it is primitive, and
        the ER7 text as it stands when it is composite, so that nothing of a value
        with unexpected separators (``>^100``) is lost.
        """
        delimiters = self._context.delimiters
        if component == 0:
            composite = _contains(self.raw, delimiters[1:2] + delimiters[4:5])
            return self.raw if composite else self._leaf(self.raw)
        part = _nth(self.raw, delimiters.component, component)
        return self._leaf(_nth(part, delimiters.subcomponent, subcomponent))

    def _leaf(self, raw: str) -> Value:
        return read_leaf(raw, *self._context)

    def __str__(self) -> str:
        value = self.get()
        return value if isinstance(value, str) else ""

    def __repr__(self) -> str:
        return f"<Repetition of {len(self.raw)} characters>"


class Segment:
    """One segment. ``ending`` is the terminator that follows it on the wire."""

    __slots__ = ("_context", "_fields", "_text", "ending")

    def __init__(self, text: str, context: Context, ending: str = "\r") -> None:
        self._text: str | None = text
        self._fields: list[str] | None = None
        self._context = context
        self.ending = ending

    @property
    def name(self) -> str:
        return self._fields[0] if self._fields else self._text[:3]

    @property
    def is_changed(self) -> bool:
        return self._text is None

    @property
    def text(self) -> str:
        """The segment as ER7, without its terminator."""
        if self._text is not None:
            return self._text
        separator = self._context.delimiters.field
        if self.name == "MSH":
            return self._fields[0] + separator + separator.join(self._fields[2:])
        return separator.join(self._fields)

    @property
    def fields(self) -> list[str]:
        """Raw texts by field number; item 0 is the segment name. Do not change it."""
        if self._fields is None:
            separator = self._context.delimiters.field
            self._fields = self._text.split(separator)
            if self._fields[0] == "MSH":
                self._fields.insert(1, separator)
        return self._fields

    def raw(self, field: int) -> str:
        """The field as it stands on the wire; empty when it is absent."""
        return self.fields[field] if field < len(self.fields) else ""

    def repetitions(self, field: int) -> list[Repetition]:
        """The occurrences of a field; none when it is empty."""
        raw, separator = self.raw(field), self._context.delimiters.repetition
        if not raw:
            return []
        if not separator or separator not in raw or self._is_opaque(field):
            return [Repetition(raw, self._context)]
        return [Repetition(part, self._context) for part in raw.split(separator)]

    def get(
        self, field: int, component: int = 0, subcomponent: int = 1, repetition: int = 1
    ) -> Value:
        """A value by its numbers, see :meth:`Repetition.get`; None when absent."""
        if self._is_opaque(field):
            return self.raw(field) if repetition == 1 and component < 2 else None
        raw = self.raw(field)
        if not raw:
            return None
        raw = _nth(raw, self._context.delimiters.repetition, repetition)
        return Repetition(raw, self._context).get(component, subcomponent)

    def set(
        self,
        value: Value,
        field: int,
        component: int = 0,
        subcomponent: int = 0,
        repetition: int = 1,
    ) -> None:
        """Write one value, escaped; number 0 means the whole level. None empties it,
        NULL writes two quotes. All other parts keep their bytes.

        :raises Er7Error: ``er7.value`` when it cannot be written: MSH-1 and MSH-2, a
            separator the message does not declare, a number out of range
        """
        delimiters = self._context.delimiters
        numbers = (field, repetition, component or 1, subcomponent or 1)
        in_range = all(0 < number <= MAX_NUMBER for number in numbers)
        if self._is_opaque(field) or not in_range:
            raise Er7Error("er7.value", error_class="mapping", reason="number")
        raw = _write_leaf(value, delimiters)
        if component or subcomponent:
            old = _nth(self.raw(field), delimiters.repetition, repetition)
            if subcomponent:
                part = _nth(old, delimiters.component, component or 1)
                raw = _put(part, delimiters.subcomponent, subcomponent, raw)
            raw = _put(old, delimiters.component, component or 1, raw)
        fields = self.fields
        fields.extend([""] * (field + 1 - len(fields)))
        fields[field] = _put(fields[field], delimiters.repetition, repetition, raw)
        self._text = None

    def values(self) -> list:
        """Every leaf of the segment, unescaped, by field number (item 0: the name).

        A field is a text, or a list of repetitions; a repetition is a text, or a list
        of components; a component is a text, or a list of subcomponents. An HL7 null
        stays two quotes.
        """
        if self.name == "MSH":
            rest = self.text.split(self.fields[1], 2)[2:]
            tail = [item for text in rest for item in field_values(text, self._context)]
            return self.fields[:3] + tail
        return field_values(self.text, self._context)

    def _is_opaque(self, field: int) -> bool:
        return field == 0 or (field < 3 and self.name == "MSH")

    def __repr__(self) -> str:
        return f"<Segment {self.name}>"


def field_values(text: str, context: Context) -> list:
    """Fields as :meth:`Segment.values` describes them. Most segments have nothing but
    fields and components: those are cut by the short way."""
    (separator, component, repetition, mark, subcomponent, _), _codec = context
    if repetition in text or mark in text or subcomponent in text:
        levels = (repetition, component, subcomponent)
        return [_split(raw, levels, context) for raw in text.split(separator)]
    return [
        [raw.split(component)] if component in raw else raw
        for raw in text.split(separator)
    ]


def _split(raw: str, separators: tuple[str, ...], context: Context) -> str | list:
    if not _contains(raw, separators):
        return unescape(raw, *context)
    separator, deeper = separators[0], separators[1:]
    parts = raw.split(separator) if separator else [raw]
    return [_split(part, deeper, context) for part in parts]


def _contains(text: str, chars: tuple[str, ...]) -> bool:
    return any(char in text for char in chars if char)


def _nth(text: str, separator: str, number: int) -> str:
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


def _put(text: str, separator: str, number: int, raw: str) -> str:
    if number == 1 and (not separator or separator not in text):
        return raw
    if not separator:
        raise Er7Error("er7.value", error_class="mapping", reason="no_separator")
    parts = text.split(separator)
    parts.extend([""] * (number - len(parts)))
    parts[number - 1] = raw
    return separator.join(parts)


def _write_leaf(value: Value, delimiters: Delimiters) -> str:
    if value is None:
        return ""
    if isinstance(value, Null):
        return NULL_TEXT
    raw = escape(value, delimiters)
    if raw == NULL_TEXT and delimiters.escape:
        return f"{delimiters.escape}X2222{delimiters.escape}"
    return raw
