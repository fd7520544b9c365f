"""What an HTTP answer to a message says about its delivery.

Sources: RFC 9110 (status codes, Retry-After), draft-ietf-httpapi-idempotency-key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from . import transport

#: nobody is asked to wait longer than a day by one header
LONGEST_WAIT = 86400.0

# Whoever answers 502 or 504 stands between us and the partner, which may have worked
# on the message; 408 and 500 leave it open as well. 503 and 425 are refusals to begin.
_OUTCOMES = {
    303: transport.UNKNOWN,
    401: transport.AUTH,
    403: transport.AUTH,
    407: transport.AUTH,
    408: transport.UNKNOWN,
    425: transport.NOT_DELIVERED,
    429: transport.THROTTLED,
    503: transport.NOT_DELIVERED,
}


def classify(status: int, repeated: bool = False) -> str:
    """The outcome of a complete answer.

    :param repeated: the partner honours the key, and an earlier try may have reached
        it: a conflict (409) then is with ourselves
    """
    if 200 <= status < 300:
        return transport.DELIVERED
    if status == 409 and repeated:
        return transport.DELIVERED
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if 300 <= status < 500:
        return transport.REJECTED
    return transport.UNKNOWN


def answer_code(status: int) -> str:
    """A name for the attempt's record."""
    return "http.redirect" if 300 <= status < 400 else f"http.{status}"


def retry_after(
    headers: Mapping[str, str], now: datetime | None = None
) -> float | None:
    """Seconds of a ``Retry-After`` header, which holds seconds or an HTTP date.

    :param now: aware; the present
    :return: None when there is none or it cannot be read
    """
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        told = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=timezone.utc)
    seconds = (told - (now or datetime.now(timezone.utc))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)
