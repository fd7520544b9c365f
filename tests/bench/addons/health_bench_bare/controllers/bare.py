from odoo import http
from odoo.http import request


class BareController(http.Controller):
    @http.route(
        "/bench/bare",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        save_session=False,
        readonly=False,
    )
    def receive(self, **_form):
        """Read the body, insert one row, answer."""
        body = request.httprequest.get_data().decode()
        request.env.cr.execute(
            "INSERT INTO health_bench_bare (body) VALUES (%s)", [body]
        )
        return request.make_json_response({"status": "accepted"}, status=202)
