"""Inbound routes: their raw body is kept, and a database in trouble is told as such."""

import psycopg2

from odoo import models
from odoo.http import request

from ..lib import problem
from ..lib.http_door import PATH, answer_of
from ..lib.pg_store import is_not_now

_PARSED = {"application/x-www-form-urlencoded", "multipart/form-data"}


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _pre_dispatch(cls, rule, args):
        """Form posts are parsed before an endpoint runs and leave no raw body; a
        route with ``health_raw_body=True`` keeps it. Other bodies are not read here,
        so that the endpoint can refuse them by size and key first."""
        res = super()._pre_dispatch(rule, args)
        if (
            rule.endpoint.routing.get("health_raw_body")
            and request.httprequest.mimetype in _PARSED
        ):
            request.httprequest.get_data(cache=True)
        return res

    @classmethod
    def _handle_error(cls, exception):
        """A database that has no room or is going down is no fault of the message: its
        sender is told to come again, in the words of the gateway, and not by a page.
        Whatever fails until the commit ends here; nothing was stored."""
        if _is_inbound() and isinstance(exception, psycopg2.Error):
            if is_not_now(exception):
                answer = answer_of(problem.UNAVAILABLE)
                headers = list(answer.all_headers.items())
                return request.make_response(
                    answer.content, headers, status=answer.status
                )
        return super()._handle_error(exception)


def _is_inbound():
    return request.httprequest.path.startswith(PATH)
