"""The HTTP door: who may send, what is taken, and what is answered.

Everything about ``POST /health/in/<interface code>`` but the plumbing of a web server.
Odoo's controller and the gateway process both use it, so that a partner cannot tell
them apart. Functions over the head of a request and a row of settings: a server calls
:func:`enter` before it reads the body and :func:`read` after.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import psycopg2

from . import problem, route
from .accept import CONFLICT, Channel, Incoming, Receipt
from .errors import failure_of
from .problem import Problem
from .urgency import words

_logger = logging.getLogger(__name__)

PATH = "/health/in/"
#: no interface may raise its limit above this
HARD_LIMIT = 64 << 20

_DOORS = """
SELECT i.code, i.id, i.backend_id, i.company_id, i.priority, i.codec, i.state,
       i.max_size, i.message_types, i.order_key_source, i.dedupe_source, i.charset,
       i.urgent_source, i.urgent_values,
       b.active AND i.active AS open, b.environment, i.route_table,
       b.rate_in, b.rate_in_burst,
       ARRAY(SELECT s.digest FROM health_secret s
              WHERE s.backend_id = b.id AND s.kind = 'bearer'
                AND s.digest IS NOT NULL AND s.revoked_at IS NULL
                AND (s.expires_at IS NULL
                     OR s.expires_at > now() AT TIME ZONE 'UTC')) AS digests
  FROM health_interface i JOIN health_backend b ON b.id = i.backend_id
 WHERE i.direction = 'in' AND i.transport = 'http'
"""
_DOOR = f"{_DOORS} AND i.code = %s"

#: settings of an interface, a row of the query above
Settings = Mapping[str, Any]
#: reads the keys of a body (see ``HealthCodec._peek``): settings, bytes, headers
Peek = Callable[[Settings, bytes, Mapping[str, str]], Mapping[str, str]]

#: makes a function that reads single fields of a body: settings, bytes
Reader = Callable[[Settings, bytes], Callable[[str], str]]


class Blinder(Protocol):
    """What is needed of the key ring."""

    def blind(self, scope: str, text: str | bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body.

    :param headers: names in lower case
    :param length: of the body in bytes; None when the request does not say
    :param content_type: without parameters, in lower case
    """

    headers: Mapping[str, str]
    length: int | None
    content_type: str = ""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Head:
        """The head of these headers, decoded as Latin-1. Of headers of one name the
        last one counts."""
        headers = {name.lower(): value for name, value in pairs}
        length = headers.get("content-length", "")
        known = length.isdecimal() and "transfer-encoding" not in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return cls(headers, int(length) if known else None, kind)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves, whatever server sends it."""

    status: int
    body: Mapping[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode()

    @property
    def all_headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json; charset=utf-8", **self.headers}


class Refused(Exception):
    """Ends a request with a problem; nothing was stored. Its text is the code."""

    def __init__(self, why: Problem, **extra: Any) -> None:
        super().__init__(why.code)
        self.why = why
        self.extra = extra

    @property
    def answer(self) -> Answer:
        return answer_of(self.why, **self.extra)


def answer_of(why: Problem, **extra: Any) -> Answer:
    """A problem as an answer; ``extra`` are facts free of content."""
    after = extra.get("retry_after", why.retry_after)
    headers = {} if after is None else {"Retry-After": str(after)}
    return Answer(why.status, why.body(**extra), headers)


# -- settings -------------------------------------------------------------------------


def find(cr: Any, code: str) -> Settings | None:
    """The settings of one interface by its code; None when there is none."""
    cr.execute(_DOOR, [code])
    return next(iter(_rows(cr)), None)


def find_all(cr: Any) -> dict[str, Settings]:
    """The settings of all interfaces over HTTP, by code."""
    cr.execute(_DOORS)
    return {row["code"]: row for row in _rows(cr)}


def _rows(cr: Any) -> list[Settings]:
    names = [column[0] for column in cr.description]
    return [dict(zip(names, row, strict=True)) for row in cr.fetchall()]


# -- a request ------------------------------------------------------------------------


def enter(ring: Blinder, settings: Settings | None, head: Head) -> Settings:
    """Let a request in by its head alone, before its body is read.

    :param settings: of the interface that the address names, None for none
    :raises Refused: it is not let in
    """
    settings = _authenticated(ring, settings, head)
    if settings["state"] != "live" or not settings["open"]:
        raise Refused(problem.NOT_LIVE)
    if head.length is None:
        raise Refused(problem.LENGTH_REQUIRED)
    if head.length > min(settings["max_size"], HARD_LIMIT):
        raise Refused(problem.TOO_LARGE, limit=settings["max_size"])
    return settings


def _authenticated(ring: Blinder, settings: Settings | None, head: Head) -> Settings:
    """An unknown address and a wrong key are the same to a stranger."""
    scheme, _space, key = head.headers.get("authorization", "").partition(" ")
    digest = ring.blind("secret:bearer", key.strip())
    digests = settings["digests"] if settings and scheme.lower() == "bearer" else []
    # every digest is compared, so that time tells nothing about which one fits
    matches = [hmac.compare_digest(digest, each) for each in digests]
    if settings is None or not any(matches):
        raise Refused(problem.UNAUTHORIZED)
    return settings


def throttled(wait: float) -> Refused:
    """More came than agreed.

    :param wait: seconds until another one may
    """
    return Refused(problem.THROTTLED, retry_after=max(1, math.ceil(wait)))


def read(
    settings: Settings,
    head: Head,
    raw: bytes,
    peek: Peek,
    reader: Reader | None = None,
) -> Incoming:
    """The unit to store, with the keys that the codec reads from the body.

    :param peek: of the interface's codec
    :param reader: of the same, where single fields can be read; for routes
    :raises Refused: the body is empty, not readable, or of a type not taken
    """
    if not raw:
        raise Refused(problem.EMPTY)
    try:
        keys = peek(settings, raw, head.headers)
        ways = _ways(settings, raw, reader)
    except psycopg2.Error:
        raise
    except Exception as exc:
        failure = failure_of(exc)
        if failure.trace:
            _logger.warning("reading a message failed at\n%s", failure.trace)
        raise Refused(problem.unreadable(failure.code)) from exc
    if not is_wanted(settings["message_types"] or "", keys.get("message_type") or ""):
        raise Refused(problem.UNSUPPORTED)
    kind = head.content_type
    return Incoming(_channel(settings), raw, **keys, **ways, content_type=kind)


def _ways(settings: Settings, raw: bytes, reader: Reader | None) -> dict[str, Any]:
    """What the routes of the interface add."""
    table = settings["route_table"]
    if not table:
        return {}
    return route.keys(table, reader(settings, raw) if reader else lambda source: "")


def reply(receipt: Receipt) -> Answer:
    """The answer to a stored message, for after its commit.

    The same for a duplicate; 409 when the key was used for other bytes.
    """
    names = {"id": receipt.message_id, "uid": receipt.uid}
    if receipt.verdict == CONFLICT:
        return answer_of(problem.CONFLICT, **names)
    return Answer(202, {"status": "accepted", **names})


def _channel(settings: Settings) -> Channel:
    return Channel(
        settings["id"],
        settings["backend_id"],
        settings["company_id"],
        settings["priority"],
        words(settings["urgent_values"]),
    )


@lru_cache(maxsize=1024)
def is_wanted(wanted: str, kind: str) -> bool:
    """``ORU^R01`` is wanted by itself or by ``ORU``; no list wants everything."""
    kinds = {part.strip() for part in wanted.split(",") if part.strip()}
    return not kinds or kind in kinds or kind.partition("^")[0] in kinds
