"""What a transport is given and what it answers: one message out, one outcome back.

The outcome is the whole contract between those who speak to a partner and those who
keep the message: it says what is *known*. What cannot be known is ``unknown``, and is
never guessed to be either.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import errors
from .errors import Failure

#: the partner has it
DELIVERED = "delivered"
#: the partner looked at it and does not want it
REJECTED = "rejected"
#: the partner does not accept our credentials
AUTH = "auth"
#: the partner asks us to come back later; it has not taken the message
THROTTLED = "throttled"
#: it is known not to have arrived
NOT_DELIVERED = "not_delivered"
#: it may have arrived
UNKNOWN = "unknown"

OUTCOMES = (DELIVERED, REJECTED, AUTH, THROTTLED, NOT_DELIVERED, UNKNOWN)

#: outcome that is known not to be a delivery -> class of the error policy
ERROR_CLASS = {
    REJECTED: errors.REJECTED,
    AUTH: errors.AUTH,
    THROTTLED: errors.THROTTLED,
    NOT_DELIVERED: errors.TRANSIENT,
    UNKNOWN: errors.TRANSIENT,
}

#: MSH-10 holds 20 characters until version 2.6 of HL7
CONTROL_ID_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves. Built once, the same bytes on every try.

    :param uid: 32 hexadecimal digits, the idempotency key of the business intent
    :param tries: this one included; above 1 an earlier try may have arrived
    """

    uid: str
    body: bytes = field(repr=False)
    content_type: str = ""
    charset: str = ""
    message_type: str = ""
    tries: int = 1

    @property
    def control_id(self) -> str:
        """The key where only 20 characters fit (HL7 MSH-10)."""
        return self.uid[:CONTROL_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known after a call.

    :param outcome: one of :data:`OUTCOMES`
    :param code: a name of ours for the attempt's record, free of content
    :param retry_after: seconds the partner asked for, with ``throttled``
    :param answer: the partner's answer; payload, to be sealed
    :param external_id: the partner's id of what it made of the message
    :param ms: milliseconds the call took
    """

    outcome: str
    code: str = ""
    retry_after: float | None = None
    answer: bytes = field(default=b"", repr=False)
    answer_type: str = ""
    external_id: str = field(default="", repr=False)
    ms: float = 0.0

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError("not an outcome")

    @property
    def failure(self) -> Failure:
        """The failure an outcome other than ``delivered`` is recorded as."""
        code = self.code or f"outbound.{self.outcome}"
        error_class = ERROR_CLASS[self.outcome]
        return Failure(code, error_class, retry_after=self.retry_after)
