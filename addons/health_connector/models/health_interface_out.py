"""What an outbound interface needs to say."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError


class HealthInterface(models.Model):
    # a concern of its own: the way out
    _inherit = "health.interface"  # pylint: disable=consider-merging-classes-inherited

    path = fields.Char(
        help="HTTP: added to the backend's address, for example orders/incoming."
    )
    message_type = fields.Char(
        string="Sent type",
        help="Type of the messages sent, for example ORM^O01^ORM_O01.",
    )
    repeat_safe = fields.Boolean(
        string="Repeat safe",
        help="The partner honours the idempotency key (HTTP: Idempotency-Key, HL7 v2: "
        "MSH-10): a call left in doubt may be repeated with the same key.",
    )
    probe_path = fields.Char(
        string="Look-up path",
        help="HTTP: where to ask whether a message has arrived, for example "
        "orders/{key}. 2xx means that it has, 404 that it has not. Empty: cannot ask.",
    )
    answer_id_source = fields.Char(
        string="Partner's id in the answer",
        help="Where a JSON answer holds the id the partner gave the record (JMESPath), "
        "for example id. It is remembered as a binding.",
    )

    @api.constrains(
        "direction", "transport", "state", "codec", "mapping_id", "handler",
        "path", "probe_path", "message_type", "answer_id_source",
    )  # fmt: skip
    def _check_outbound(self):
        for interface in self.filtered(lambda each: each.direction == "out"):
            interface._check_answer_id_source()
            plugins = self.env["health.plugin"]
            plugins._get("transport", interface.transport)._check_interface(interface)
            plugins._get("codec", interface.codec)._check_outbound(interface)
            if interface.handler:
                handler = plugins._get("handler", interface.handler)
                handler._check_outbound(interface)

    def _check_answer_id_source(self):
        try:
            if self.answer_id_source:
                self.env["health.codec.json"]._compile(self.answer_id_source)
        except Exception as exc:
            raise ValidationError(
                self.env._(
                    "%s is not a JMESPath expression, for example id or data.order.id.",
                    self.answer_id_source,
                )
            ) from exc
