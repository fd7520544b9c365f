import base64

from odoo import SUPERUSER_ID, http
from odoo.http import request


class EdiController(http.Controller):
    @http.route(
        "/bench/edi",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        save_session=False,
        readonly=False,
    )
    def receive(self, **_form):
        """Receive a result as an exchange record and have it processed by a job."""
        request.update_env(user=SUPERUSER_ID)
        body = request.httprequest.get_data()
        backend = request.env.ref("health_bench_edi.backend")
        record = backend.create_record(
            "bench_result",
            {
                "exchange_file": base64.b64encode(body),
                "edi_exchange_state": "input_received",
            },
        )
        record.action_exchange_process()
        return request.make_json_response({"status": "accepted"}, status=202)
