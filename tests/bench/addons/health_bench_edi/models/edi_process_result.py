from odoo import models

from odoo.addons.health_connector_hl7.lib import er7


class EdiProcessResult(models.AbstractModel):
    _name = "health.bench.edi.process"
    _inherit = "edi.oca.handler.process"
    _description = "Bench: results by the EDI framework"

    def process(self, exchange_record):
        """Find the order, note the result: no mapping, contract or patient check."""
        content = exchange_record._get_file_content(as_bytes=True)
        message = er7.parse(content)
        request = message.segment("OBR")
        order = (
            self.env["health.lab.order"]
            .with_context(tracking_disable=True)
            .search([("placer_number", "=", request.get(2, 1))])
        )
        at = exchange_record.create_date
        order.line_ids.write(
            {
                "filler_number": request.get(3, 1),
                "filler_authority": "NORTHLAB",
                "result_status": "final",
                "result_at": at,
                "result_flag": "normal",
                "result_version": 1,
                "result_observations": len(message.all("OBX")),
            }
        )
        order.write({"state": "final", "result_at": at})
