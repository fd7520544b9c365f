"""Error answers of the inbound routes: ``{code, title, detail, next}``.

Texts are fixed, so that nothing a partner sent is repeated to it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """An HTTP status and what the caller is told.

    :param next: what the caller should do
    :param retry_after: seconds after which another try makes sense, if one does
    """

    status: int
    code: str
    title: str
    detail: str
    next: str
    retry_after: int | None = None

    def body(self, **extra: Any) -> dict[str, Any]:
        """The JSON body; ``extra`` are content-free facts such as limits."""
        body = asdict(self)
        del body["status"], body["retry_after"]
        return {**body, **extra}


UNAUTHORIZED = Problem(
    401,
    "auth.bearer",
    "Not authorised",
    "The address or the bearer key is not known here.",
    "Check the interface code in the address and the Authorization header.",
)
NOT_LIVE = Problem(
    503,
    "interface.not_live",
    "Not open for traffic",
    "This interface is not live at the moment. Nothing was stored.",
    "Send the same message again later.",
    retry_after=60,
)
LENGTH_REQUIRED = Problem(
    411,
    "body.length",
    "Length required",
    "The request does not say how long its body is.",
    "Send a Content-Length header.",
)
TOO_LARGE = Problem(
    413,
    "body.too_large",
    "Too large",
    "The body is larger than this interface accepts. Nothing was stored.",
    "Split the content, or ask for a higher limit.",
)
EMPTY = Problem(
    400,
    "body.empty",
    "Empty body",
    "The request has no body.",
    "Send the message as the body of the request.",
)
CONFLICT = Problem(
    409,
    "message.key_reused",
    "Key used before",
    "A different message with the same key was accepted before. This one was kept "
    "for review and will not be applied by itself.",
    "Use a new key for new content.",
)
UNSUPPORTED = Problem(
    422,
    "message.type",
    "Message type not accepted",
    "This interface does not take messages of this type. Nothing was stored.",
    "Send it to the interface agreed for this type.",
)
KEYRING = Problem(
    503,
    "keyring.unavailable",
    "Cannot store safely",
    "The server cannot seal messages at the moment. Nothing was stored.",
    "Send the same message again later.",
    retry_after=60,
)
UNAVAILABLE = Problem(
    503,
    "store.down",
    "Cannot store",
    "The store is not available at the moment. Nothing was stored.",
    "Send the same message again later.",
    retry_after=5,
)
NOT_STORED = Problem(
    500,
    "store.failed",
    "Not stored",
    "The message could not be stored.",
    "Send the same message again later; tell us if that does not help.",
)
THROTTLED = Problem(
    429,
    "rate.limit",
    "Too many messages",
    "More messages came than were agreed. Nothing was stored.",
    "Send the same message again after the time in Retry-After.",
    retry_after=1,
)
BUSY = Problem(
    503,
    "server.busy",
    "Too much at once",
    "The server has as many requests in work as it takes. Nothing was stored.",
    "Send the same message again later.",
    retry_after=1,
)
SLOW = Problem(
    408,
    "body.slow",
    "Too slow",
    "The body did not arrive in time. Nothing was stored.",
    "Send the same message again.",
)
METHOD = Problem(
    405,
    "request.method",
    "Method not allowed",
    "This address takes messages by POST.",
    "Send the message as the body of a POST request.",
)
NO_ADDRESS = Problem(
    404,
    "request.address",
    "Not found",
    "There is nothing at this address.",
    "Send messages to /health/in/ and the code of the interface.",
)
MALFORMED = Problem(
    400,
    "request.malformed",
    "Not a request",
    "The request cannot be read as HTTP.",
    "Correct the client.",
)


def unreadable(code: str) -> Problem:
    """The body is not what the interface's format says."""
    return Problem(
        400,
        code,
        "Not readable",
        "The body cannot be read in the format of this interface. Nothing was stored.",
        "Correct the message and send it again.",
    )
