"""The door of a port: which messages come in, and under which keys.

Looks at the header and at as little else as it can: a message is stored first and
understood later. What is refused here would be refused again unchanged, or cannot
be stored under a key of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from . import msh
from .ack import ERROR, REJECT, Problem
from .charset import declared_codec, decode_strict
from .mllp import MAX_FRAME

CONTENT_TYPE = "application/hl7-v2"

#: message codes that are nothing but an acknowledgement
ACKNOWLEDGEMENTS = frozenset({"ACK", "MCF"})

#: how long a sender may be kept waiting for processing (ack_mode "application")
APPLICATION_ANSWER_SECONDS = 10.0

_VERSION = re.compile(r"2\.[1-9](\.\d)?")
_PROCESSING_IDS = frozenset("PTD")
_HEADER_INSIDE = re.compile(rb"[\r\n]MSH(?![A-Za-z0-9])")
_SEGMENT = re.compile(rb"[\r\n][A-Z][A-Z0-9]{2}", re.IGNORECASE)
_UNIT_SEPARATOR = "\x1f"


class Refusal(ValueError):
    """A message that is not accepted. Its text is the code, free of content."""

    error_class = "contract"

    def __init__(self, code: str, problem: Problem) -> None:
        super().__init__(code)
        self.code = code
        self.problem = problem
        self.params = {"condition": problem.condition}


@dataclass(frozen=True, slots=True)
class Flow:
    """An inbound interface as the door sees it.

    :param channel: handed on with what is stored; not looked at here
    :param message_types: ``ORU^R01``, ``ADT`` for every event; empty for all but
        acknowledgements
    :param order_key_source: in the notation of :func:`msh.order_key`
    :param dedupe_source: the same; empty for MSH-3, MSH-4 and MSH-10
    :param urgent_source: the same: where a message says how urgent it is
    :param charset: agreed with the partner; wins over MSH-18
    :param production: refuses test and training messages (MSH-11)
    :param open: False while the interface is suspended: the sender keeps the message
    :param answer_after: ``commit``, or ``application`` to wait for the processing
    :param ways: from a function that reads fields of the message to what routes add to
        the unit; None without routes
    :param outage: without database, ``answer`` a retryable refusal or ``close``
    """

    channel: Any
    message_types: frozenset[str] = frozenset()
    order_key_source: str = ""
    dedupe_source: str = ""
    urgent_source: str = ""
    charset: str = ""
    max_size: int = MAX_FRAME
    production: bool = False
    open: bool = True
    answer_after: str = "commit"
    answer_seconds: float = APPLICATION_ANSWER_SECONDS
    outage: str = "answer"
    ways: Callable[[Callable[[str], str]], dict[str, Any]] | None = None


class Keys(NamedTuple):
    """What the header says, ready to be stored with the bytes.

    :ivar charset: as HL7 names it: agreed, else declared, else empty
    """

    message_type: str
    control_id: str
    dedupe_key: str
    order_key: str
    charset: str
    urgent: str


class Door:
    """All flows of one port. Immutable: a change of settings makes a new door.

    :param incoming: makes the unit to store, called with the fields of ``Incoming``
        of the core's accept
    """

    def __init__(self, flows: Sequence[Flow], incoming: Callable[..., Any]) -> None:
        self._incoming = incoming
        self._routes = {kind: flow for flow in flows for kind in flow.message_types}
        self._rest = next((flow for flow in flows if not flow.message_types), None)
        self._codes = {kind.partition("^")[0] for kind in self._routes}
        self.max_size = max((flow.max_size for flow in flows), default=MAX_FRAME)

    def admit(self, raw: bytes) -> tuple[Flow, Any]:
        """The flow of a message and the unit to store.

        :raises Refusal: with the problem to answer
        """
        try:
            header = msh.peek(raw)
            flow = self._route(header)
            keys = examine(raw, header, flow)
            ways = _ways(raw, header, flow)
        except msh.Er7Error as error:
            raise refusal_of(error) from None
        unit = self._incoming(
            channel=flow.channel,
            raw=raw,
            dedupe_key=keys.dedupe_key,
            order_key=keys.order_key,
            message_type=keys.message_type,
            external_ref=keys.control_id,
            content_type=CONTENT_TYPE,
            charset=keys.charset,
            urgent=keys.urgent,
            **ways,
        )
        return flow, unit

    def _route(self, header: msh.Header) -> Flow:
        msh.check(header)
        code = header.message_code
        routes = self._routes
        rest = None if code in ACKNOWLEDGEMENTS else self._rest
        flow = routes.get(header.message_type) or routes.get(code) or rest
        if flow is None:
            condition = 201 if code in self._codes else 200
            hint = "No interface on this port takes this message type"
            problem = Problem(condition, REJECT, "MSH", 9, hint)
            raise Refusal("hl7.message_type", problem)
        if not flow.open:
            hint = "The interface is suspended. Keep the message and send it later"
            raise Refusal("hl7.suspended", Problem(207, ERROR, hint=hint))
        return flow


def examine(raw: bytes, header: msh.Header, flow: Flow) -> Keys:
    """Check a message against its flow and read its keys.

    :raises Refusal: it does not fit the flow
    :raises Er7Error: the header is not complete, or the charset does not fit
    """
    msh.check(header)
    _check_header(header, flow)
    _check_body(raw, flow)
    return Keys(
        message_type=header.message_type,
        control_id=header.control_id,
        dedupe_key=_dedupe_key(raw, header, flow),
        order_key=msh.order_key(raw, flow.order_key_source, header),
        charset=_charset(raw, header, flow),
        urgent=msh.order_key(raw, flow.urgent_source, header),
    )


def refusal_of(error: msh.Er7Error) -> Refusal:
    verdict = REJECT if error.ack == "AR" else ERROR
    segment = error.segment if error.segment == "MSH" else ""
    problem = Problem(int(error.hl7_code), verdict, segment, error.field)
    refusal = Refusal(error.code, problem)
    refusal.error_class = error.error_class
    return refusal


def _check_header(header: msh.Header, flow: Flow) -> None:
    component = header.delimiters.component
    version = header.version.partition(component)[0].strip()
    if not _is_version(version):
        raise Refusal("hl7.version", Problem(203, REJECT, "MSH", 12))
    processing_id = header.processing_id.partition(component)[0].strip()
    if processing_id not in _PROCESSING_IDS:
        raise Refusal("hl7.processing_id", Problem(202, REJECT, "MSH", 11))
    if flow.production and processing_id != "P":
        hint = "Test and training messages are not taken by a production system"
        problem = Problem(202, REJECT, "MSH", 11, hint)
        raise Refusal("hl7.processing_id", problem)


@lru_cache(maxsize=64)
def _is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def _check_body(raw: bytes, flow: Flow) -> None:
    if len(raw) > flow.max_size:
        raise Refusal("hl7.too_long", too_long())
    if raw.find(b"MSH", 3) > 0 and _HEADER_INSIDE.search(raw):
        hint = "One message per frame, or a batch with BHS and BTS"
        raise Refusal("hl7.two_messages", Problem(100, REJECT, "MSH", hint=hint))
    if not _SEGMENT.search(raw):
        hint = "The message ends after its header"
        raise Refusal("hl7.header_only", Problem(100, ERROR, hint=hint))
    if is_fragment(raw):
        hint = "Fragmented messages (DSC) are not taken. Send the message whole"
        raise Refusal("hl7.fragment", Problem(100, REJECT, "DSC", hint=hint))


def too_long() -> Problem:
    return Problem(104, REJECT, hint="The message is larger than agreed")


def is_fragment(raw: bytes) -> bool:
    """The last segment is DSC: the message goes on in another one (§2.10.2)."""
    return raw.rfind(b"DSC", -256) > 0 and bool(
        re.search(rb"[\r\n]DSC(?![A-Za-z0-9])[^\r\n]*[\r\n]*\Z", raw[-256:])
    )


def _dedupe_key(raw: bytes, header: msh.Header, flow: Flow) -> str:
    """MSH-3, MSH-4 and MSH-10: the sender's own key, within one interface."""
    if flow.dedupe_source:
        key = msh.order_key(raw, flow.dedupe_source, header)
        if key:
            return key
    parts = (header.sending_app, header.sending_fac, header.control_id)
    return _UNIT_SEPARATOR.join(parts)


def _ways(raw: bytes, header: msh.Header, flow: Flow) -> dict[str, Any]:
    """What the routes of the flow add to the unit."""
    if flow.ways is None:
        return {}
    return flow.ways(lambda source: msh.order_key(raw, source, header))


def _charset(raw: bytes, header: msh.Header, flow: Flow) -> str:
    """The charset that reads the message without loss; plain ASCII needs no proof."""
    charset = flow.charset or header.charsets
    if not raw.isascii() or declared_codec(charset).startswith("iso2022"):
        decode_strict(raw, charset)
    return charset
