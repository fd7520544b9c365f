"""``POST /health/in/<interface code>``: the HTTP door, served by Odoo."""

import logging

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..lib import http_door, problem
from ..lib.accept import accept
from ..lib.http_door import HARD_LIMIT, PATH, Head, Refused
from ..lib.keyring import KeyringError

_logger = logging.getLogger(__name__)


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
        codec = request.env["health.plugin"]._get("codec", settings["codec"])
        raw = request.httprequest.get_data(cache=True)
        incoming = http_door.read(settings, head, raw, codec._peek, codec._reader)
        receipt = accept(request.env.cr, ring, [incoming])[0]
        drain = request.env["health.drain"].with_user(SUPERUSER_ID)
        drain._wake_after_commit([settings["backend_id"]])
        return receipt


def _ring():
    try:
        return request.env["health.keyring"]._ring()
    except KeyringError as exc:
        _logger.error("nothing is accepted: %s", exc)
        raise Refused(problem.KEYRING) from exc
