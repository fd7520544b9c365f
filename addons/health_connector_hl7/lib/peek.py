"""What the HL7 v2 codec reads of a body before it is stored: the listener's own door,
whatever way the message came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import door, msh


def peek_hl7v2(
    settings: Mapping[str, Any], raw: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """An ``Idempotency-Key`` is not looked at: MSH-10 is the key of a message.

    :raises Er7Error: the header cannot be read, or the charset does not fit
    :raises door.Refusal: it is nothing that this interface takes
    """
    keys = door.examine(raw, msh.peek(raw), _flow(settings))
    return {
        "message_type": keys.message_type,
        "external_ref": keys.control_id,
        "dedupe_key": keys.dedupe_key,
        "order_key": keys.order_key,
        "urgent": keys.urgent,
        "charset": keys.charset,
    }


def reader_hl7v2(settings: Mapping[str, Any], raw: bytes) -> Callable[[str], str]:
    """Reads single fields of a message that :func:`peek_hl7v2` let pass."""
    header = msh.peek(raw)
    return lambda source: msh.order_key(raw, source, header)


def _flow(settings: Mapping[str, Any]) -> door.Flow:
    return door.Flow(
        channel=None,
        order_key_source=settings["order_key_source"] or "",
        dedupe_source=settings["dedupe_source"] or "",
        urgent_source=settings["urgent_source"] or "",
        charset=settings["charset"] or "",
        max_size=settings["max_size"],
        production=settings["environment"] == "production",
    )
