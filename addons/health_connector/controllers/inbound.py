"""``POST /health/in/<interface code>``: the HTTP door, served by Odoo."""

import logging
from functools import partial

import psycopg2
import psycopg2.errors

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..lib import http_door, inbound_rate, problem
from ..lib.accept import accept
from ..lib.fan_out import drains
from ..lib.http_door import HARD_LIMIT, PATH, Head, Refused
from ..lib.inbound_rate import Allowance, rate_of
from ..lib.keyring import KeyringError

_logger = logging.getLogger(__name__)

#: looks at a bucket that others change at the same moment, before it is full up
_CONFLICTS = 10

#: of this process, for all its databases
_allowance = Allowance()


class InboundController(http.Controller):
    @http.route(
        f"{PATH}<string:code>",
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

        The framework commits before the answer leaves, and may run this again from
        the start on a serialization failure: accept is safe to repeat.
        """
        try:
            answer = http_door.reply(self._receive(code))
        except Refused as refused:
            answer = refused.answer
        headers = list(answer.all_headers.items())
        return request.make_response(answer.content, headers, status=answer.status)

    def _receive(self, code):
        ring = _ring()
        head = Head.of(request.httprequest.headers)
        settings = http_door.enter(ring, http_door.find(request.env.cr, code), head)
        _check_rate(settings)
        codec = request.env["health.plugin"]._get("codec", settings["codec"])
        raw = request.httprequest.get_data(cache=True)
        incoming = http_door.read(settings, head, raw, codec._peek, codec._reader)
        receipt = accept(request.env.cr, ring, [incoming])[0]
        drain = request.env["health.drain"].with_user(SUPERUSER_ID)
        for direction, backend_id in sorted(drains([incoming])):
            drain._wake_after_commit([backend_id], direction)
        return receipt


def _ring():
    try:
        return request.env["health.keyring"]._ring()
    except KeyringError as exc:
        _logger.error("nothing is accepted: %s", exc)
        raise Refused(problem.KEYRING) from exc


def _check_rate(settings):
    """One token of the backend's limit, when it has one.

    In a transaction of its own: nobody is to wait for the lock, and what was taken
    stays taken when the request is run again.
    """
    rate = rate_of(settings["rate_in"], settings["rate_in_burst"])
    if rate is None:
        return
    backend_id = settings["backend_id"]

    reserve = partial(_reserve, backend_id, rate)
    if not _allowance.take((request.db, backend_id), rate, 1, reserve):
        raise http_door.throttled(_allowance.wait((request.db, backend_id)))


def _reserve(backend_id, rate, wanted):
    """Tokens of the shared bucket. At Odoo's isolation a worker that waited for another
    one's lock has to look again."""
    for _try in range(_CONFLICTS):
        try:
            with request.env.registry.cursor() as cr:
                return inbound_rate.reserve(cr, backend_id, rate, wanted)
        except psycopg2.errors.SerializationFailure:
            continue
    raise http_door.throttled(0)
