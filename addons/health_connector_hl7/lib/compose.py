"""Composing a message of a document whose keys are places in segments.

A key names segment, field, component and subcomponent in the notation of HL7 people,
in small letters and with underscores: ``pid_5_1`` is PID-5-1. A list is a group that
repeats, whatever its name; a list of plain values repeats a field::

    {"pid_3_1": "N-1", "pid_5_1": "DOE", "orders": [{"orc_1": "NW", "obr_4_1": "CBC"}]}

Segments stand in the order of their first key, groups after the segments of their
level. The header is ours: time, type, control id and character set are not the
document's to choose.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import charset, er7
from .errors import Er7Error

PLACE = re.compile(r"([a-z][a-z0-9]{2})_([1-9]\d*)(?:_([1-9]\d*))?(?:_([1-9]\d*))?")
#: MSH fields that the document may not set
OURS = frozenset({1, 2, 7, 9, 10, 11, 12, 18})
_UTF8 = "UNICODE UTF-8"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the header says.

    :param message_type: MSH-9, for example ``ORM^O01^ORM_O01``
    :param control_id: MSH-10, at most 20 characters
    :param created: MSH-7, naive UTC
    :param charset: an HL7 name for MSH-18; empty: none for ASCII, else UTF-8
    """

    message_type: str
    control_id: str
    created: datetime
    production: bool = False
    version: str = "2.5.1"
    charset: str = ""


def compose(document: Mapping[str, Any], heading: Heading) -> bytes:
    """The message's bytes, without frame.

    :raises Er7Error: ``er7.place`` for a key that is none, ``er7.charset`` for a value
        that the character set cannot hold; class mapping, without the value
    """
    codec = charset.python_codec(heading.charset) if heading.charset else "utf-8"
    message = er7.new(codec, heading.version)
    _head(message.segments[0], heading)
    _write(message, document)
    if not heading.charset and not message.text().isascii():
        message.segments[0].set(_UTF8, 18)
    message.segments[-1].ending = message.segments[-1].ending or "\r"
    return message.render()


def check_place(key: str) -> None:
    """Refuse what is no place in a message.

    :raises Er7Error: ``er7.place``
    """
    _place(key)


def _head(segment: er7.Segment, heading: Heading) -> None:
    segment.set(f"{heading.created:%Y%m%d%H%M%S}+0000", 7)
    for number, part in enumerate(heading.message_type.split("^"), 1):
        segment.set(part, 9, number)
    segment.set(heading.control_id, 10)
    segment.set("P" if heading.production else "T", 11)
    if heading.charset:
        segment.set(heading.charset, 18)


def _write(message: er7.Message, node: Mapping[str, Any]) -> None:
    """The segments of one level, then its groups."""
    made: dict[str, er7.Segment] = {}
    groups: list[Iterable] = []
    for key, value in node.items():
        if isinstance(value, (list, tuple)) and any(
            isinstance(each, Mapping) for each in value
        ):
            groups.append(value)
        elif value is not None and value != "" and value != []:
            name, numbers = _place(key)
            if name not in made:
                header = message.segments[0] if name == "MSH" else None
                made[name] = header or message.add(name)
            _set(made[name], value, *numbers)
    for group in groups:
        for each in group:
            _write(message, each)


def _set(segment: er7.Segment, value: Any, *numbers: int) -> None:
    field, component, subcomponent = numbers
    values = value if isinstance(value, (list, tuple)) else [value]
    for repetition, each in enumerate(values, 1):
        segment.set(_text(each), field, component, subcomponent, repetition)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, Mapping):
        raise Er7Error("er7.place", error_class="mapping", reason="object")
    return str(value)


def _place(key: str) -> tuple[str, tuple[int, int, int]]:
    found = PLACE.fullmatch(key)
    if found is None:
        raise Er7Error("er7.place", error_class="mapping", place=key[:40])
    name, field = found[1].upper(), int(found[2])
    if name == "MSH" and field in OURS:
        raise Er7Error("er7.place", error_class="mapping", place=key[:40])
    return name, (field, int(found[3] or 0), int(found[4] or 0))
