"""Keep the raw body of inbound routes."""

from odoo import models
from odoo.http import request

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
