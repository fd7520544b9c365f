"""``POST /health/in/<interface code>``: the HTTP door."""

import hmac
import logging

import psycopg2

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..lib import problem
from ..lib.accept import CONFLICT, Channel, Incoming, accept
from ..lib.errors import failure_of
from ..lib.keyring import KeyringError

_logger = logging.getLogger(__name__)

#: no interface may raise its limit above this
HARD_LIMIT = 64 << 20

_DOOR = """
SELECT i.id, i.backend_id, i.company_id, i.priority, i.codec, i.state, i.max_size,
       i.message_types, i.order_key_source, i.dedupe_source, i.charset,
       b.active AND i.active AS open, b.environment,
       ARRAY(SELECT s.digest FROM health_secret s
              WHERE s.backend_id = b.id AND s.kind = 'bearer'
                AND s.digest IS NOT NULL AND s.revoked_at IS NULL
                AND (s.expires_at IS NULL
                     OR s.expires_at > now() AT TIME ZONE 'UTC')) AS digests
  FROM health_interface i JOIN health_backend b ON b.id = i.backend_id
 WHERE i.code = %s AND i.direction = 'in' AND i.transport = 'http'
"""


class Refused(Exception):
    """Ends a request with a problem; nothing was stored."""

    def __init__(self, why, **extra):
        super().__init__(why.code)
        self.why = why
        self.extra = extra


class InboundController(http.Controller):
    @http.route(
        "/health/in/<string:code>",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        save_session=False,
        readonly=False,
        max_content_length=HARD_LIMIT,
        health_raw_body=True,
    )
    def receive(self, code, **_form):
        """Store one message and answer 202 after the commit.

        The same answer for a duplicate; 409 when the key was used for other bytes.
        The framework commits before the answer leaves, and may run this again from
        the start on a serialization failure: accept is safe to repeat.
        """
        try:
            return self._receive(code)
        except Refused as refused:
            return _answer(refused.why, **refused.extra)

    def _receive(self, code):
        ring = _ring()
        door = _open_door(code, ring)
        raw = _body(door)
        incoming = Incoming(_channel(door), raw, **_peek(door, raw))
        receipt = accept(request.env.cr, ring, [incoming])[0]
        drain = request.env["health.drain"].with_user(SUPERUSER_ID)
        drain._wake_after_commit([door["backend_id"]])
        if receipt.verdict == CONFLICT:
            return _answer(problem.CONFLICT, id=receipt.message_id, uid=receipt.uid)
        return request.make_json_response(
            {"status": "accepted", "id": receipt.message_id, "uid": receipt.uid},
            status=202,
        )


def _answer(why, **extra):
    return request.make_json_response(why.body(**extra), status=why.status)


def _ring():
    try:
        return request.env["health.keyring"]._ring()
    except KeyringError as exc:
        _logger.error("nothing is accepted: %s", exc)
        raise Refused(problem.KEYRING) from exc


def _open_door(code, ring):
    """The interface's row, if the bearer key opens it.

    An unknown address and a wrong key are the same to a stranger.
    """
    cr = request.env.cr
    cr.execute(_DOOR, [code])
    door = cr.dictfetchone()
    scheme, _space, key = request.httprequest.headers.get(
        "Authorization", ""
    ).partition(" ")
    digest = ring.blind("secret:bearer", key.strip())
    digests = door["digests"] if door and scheme.lower() == "bearer" else []
    # every digest is compared, so that time tells nothing about which one fits
    matches = [hmac.compare_digest(digest, each) for each in digests]
    if not any(matches):
        raise Refused(problem.UNAUTHORIZED)
    if door["state"] != "live" or not door["open"]:
        raise Refused(problem.NOT_LIVE)
    return door


def _channel(door):
    return Channel(door["id"], door["backend_id"], door["company_id"], door["priority"])


def _body(door):
    """The raw body, its size checked before it is read."""
    length = request.httprequest.content_length
    if length is None:
        raise Refused(problem.LENGTH_REQUIRED)
    if length > door["max_size"]:
        raise Refused(problem.TOO_LARGE, limit=door["max_size"])
    raw = request.httprequest.get_data(cache=True)
    if not raw:
        raise Refused(problem.EMPTY)
    return raw


def _peek(door, raw):
    """What the codec reads for accepting; unreadable bodies are refused here."""
    env = request.env
    codec = env["health.plugin"]._get("codec", door["codec"])
    headers = {name.lower(): value for name, value in request.httprequest.headers}
    try:
        peeked = codec._peek(door, raw, headers)
    except psycopg2.Error:
        raise
    except Exception as exc:
        failure = failure_of(exc)
        if failure.trace:
            _logger.warning("reading a message failed at\n%s", failure.trace)
        raise Refused(problem.unreadable(failure.code)) from exc
    if not _is_wanted(door["message_types"], peeked.get("message_type") or ""):
        raise Refused(problem.UNSUPPORTED)
    peeked["content_type"] = request.httprequest.mimetype
    return peeked


def _is_wanted(wanted, kind):
    """``ORU^R01`` is wanted by itself or by ``ORU``; no list wants everything."""
    kinds = {part.strip() for part in (wanted or "").split(",") if part.strip()}
    return not kinds or kind in kinds or kind.partition("^")[0] in kinds
