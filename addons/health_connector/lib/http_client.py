"""Sending over HTTP: one message out, its answer in, and what that means.

The outcome is never guessed. A call that failed before the first byte of the request
was written is known not to have arrived; one that failed later may have.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from . import http_answer, transport
from .transport import Outgoing, Sent

KEY_HEADER = "Idempotency-Key"
MAX_ANSWER = 1 << 20
#: however an administrator sets them: a job must end before its worker is ended
LONGEST_CONNECT, LONGEST_READ = 15.0, 60.0
_REDIRECTS = 3
_CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message goes, read at the time of the call.

    :param url: https, or http where the network is trusted
    :param connect, read: seconds; the read timeout is also that of the whole answer
    :param bearer: our credential at the partner, empty for none
    :param repeat_safe: the partner honours the idempotency key
    """

    url: str
    connect: float = 5.0
    read: float = 30.0
    bearer: str = field(default="", repr=False)
    repeat_safe: bool = False
    max_answer: int = MAX_ANSWER

    @property
    def timeouts(self) -> tuple[float, float]:
        return min(self.connect, LONGEST_CONNECT), min(self.read, LONGEST_READ)


def post(destination: Destination, outgoing: Outgoing) -> Sent:
    """Send one message. Never raises for the network.

    Follows a redirect that repeats the request (307, 308) within the same origin
    only: credentials and content go nowhere else than where they were meant to.
    """
    started = time.monotonic()
    sent = _call("POST", destination, outgoing, _headers(outgoing))
    return replace(sent, ms=(time.monotonic() - started) * 1000)


def look_up(destination: Destination, key: str) -> str:
    """Ask the partner whether it has a message, by a GET whose URL holds ``{key}``.

    :return: delivered for 2xx, not_delivered for 404 and 410, unknown for all else
    """
    asked = replace(destination, url=destination.url.replace("{key}", quote(key)))
    sent = _call("GET", asked, None, {"Accept": "*/*"})
    if sent.code in ("http.404", "http.410"):
        return transport.NOT_DELIVERED
    found = sent.outcome == transport.DELIVERED
    return transport.DELIVERED if found else transport.UNKNOWN


def _headers(outgoing: Outgoing) -> dict[str, str]:
    kind = outgoing.content_type or "application/octet-stream"
    if outgoing.charset and "charset=" not in kind:
        kind = f"{kind}; charset={outgoing.charset}"
    return {KEY_HEADER: outgoing.uid, "Content-Type": kind, "Accept": "*/*"}


def _call(
    method: str,
    destination: Destination,
    outgoing: Outgoing | None,
    headers: dict[str, str],
) -> Sent:
    body = outgoing.body if outgoing else None
    repeated = bool(outgoing and destination.repeat_safe and outgoing.tries > 1)
    url = destination.url
    for _hop in range(_REDIRECTS):
        _progress.written = False
        try:
            response = _session().request(
                method,
                url,
                data=body,
                headers=headers,
                auth=_Bearer(destination.bearer),
                timeout=destination.timeouts,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            return _failed(error)
        except (OSError, ValueError) as error:  # an address that is none
            return _failed(error)
        with response:
            target = _same_origin(url, response)
            if target is None:
                return _judge(response, destination, repeated)
        url = target
    return Sent(transport.REJECTED, "http.redirect")


def _judge(
    response: requests.Response, destination: Destination, repeated: bool
) -> Sent:
    """The outcome of an answer that has begun to come in."""
    status = response.status_code
    outcome = http_answer.classify(status, repeated)
    code = http_answer.answer_code(status)
    told = http_answer.retry_after(response.headers)
    if outcome == transport.NOT_DELIVERED and told is not None:
        outcome = transport.THROTTLED
    try:
        answer = _read(response, destination)
    except (requests.RequestException, OSError) as error:
        # a refusal stays one; a success is one only when it was heard to its end
        if outcome == transport.DELIVERED:
            return Sent(transport.UNKNOWN, f"http.cut_off.{_kind(error)}")
        answer = b""
    return Sent(
        outcome,
        code,
        told if outcome == transport.THROTTLED else None,
        answer,
        response.headers.get("Content-Type", "")[:100] if answer else "",
    )


def _read(response: requests.Response, destination: Destination) -> bytes:
    """The answer's body; empty when it is longer than anybody asked for.

    :raises OSError: it did not end in time
    """
    deadline = time.monotonic() + destination.timeouts[1]
    parts, size = [], 0
    for part in response.iter_content(65536):
        size += len(part)
        if size > destination.max_answer:
            return b""
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _same_origin(url: str, response: requests.Response) -> str | None:
    """Where to repeat the request, when that is at the same place."""
    if response.status_code not in (307, 308):
        return None
    target = urljoin(url, response.headers.get("Location", ""))
    here, there = urlsplit(url), urlsplit(target)
    same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
    return target if same and response.headers.get("Location") else None


def _failed(error: Exception) -> Sent:
    """Not a byte of the request was written: it has not arrived. Else who knows."""
    if getattr(_progress, "written", False):
        return Sent(transport.UNKNOWN, f"http.{_kind(error)}")
    return Sent(transport.NOT_DELIVERED, f"http.{_kind(error)}")


def _kind(error: Exception) -> str:
    """Kind of a network error; its text names hosts and may quote, it is left out."""
    return type(error).__name__.removesuffix("Error").lower() or "error"


# -- the pooled session -----------------------------------------------------------


_progress = threading.local()


class _Noting:
    """A connection that notes when the first byte of a request is about to leave."""

    def send(self, data):
        if self.sock is None and self.auto_open:
            self.connect()
        _progress.written = True
        return super().send(data)


class _PlainConnection(_Noting, HTTPConnection):
    pass


class _TlsConnection(_Noting, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """No retries of its own: whether a call is repeated is not the network's choice."""

    def init_poolmanager(self, *args, **kwargs):  # pylint: disable=missing-return
        super().init_poolmanager(*args, **kwargs)
        pools = {"http": _PlainPool, "https": _TlsPool}
        self.poolmanager.pool_classes_by_scheme = pools


class _Bearer(AuthBase):
    """Our credential or none: never one that a ``.netrc`` holds for the host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request):
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


_sessions: dict[int, requests.Session] = {}


def _session() -> requests.Session:
    """The session of this process (connections do not survive a fork)."""
    pid = os.getpid()
    if pid not in _sessions:
        session = requests.Session()
        session.verify = True
        session.headers.update({"User-Agent": "odoo-health-connector"})
        # what one call was told must not change the next
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            adapter = _Adapter(pool_maxsize=_CONNECTIONS, max_retries=0)
            session.mount(scheme, adapter)
        _sessions.clear()
        _sessions[pid] = session
    return _sessions[pid]
