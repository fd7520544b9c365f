"""What an interface over MLLP needs to say."""

from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import msh
from ..lib.door import APPLICATION_ANSWER_SECONDS
from ..lib.errors import Er7Error

_HEADER = msh.peek(b"MSH|^~\\&|")


class HealthInterface(models.Model):
    """The MLLP listener reads these columns with SQL (``listener.py``)."""

    _inherit = "health.interface"

    mllp_port = fields.Integer(
        string="MLLP port",
        default=2575,
        help="Port on which the MLLP listener takes messages of this interface. "
        "Several interfaces may share one; the message type decides.",
    )
    ack_mode = fields.Selection(
        [
            ("commit", "As soon as the message is stored"),
            ("application", "After the message was processed"),
        ],
        string="Positive answer",
        required=True,
        default="commit",
        help="For senders in original mode (AA). Senders in enhanced mode always hear "
        "CA as soon as the message is stored.",
    )
    ack_seconds = fields.Float(
        string="Answer within (seconds)",
        default=APPLICATION_ANSWER_SECONDS,
        help="If a message is not processed by then, the sender hears a retryable "
        "error (AE 207) and not a false success. The message stays stored.",
    )
    outage_answer = fields.Selection(
        [
            ("answer", "Answer AE 207: try again later"),
            ("close", "Close the connection without an answer"),
        ],
        string="Without database",
        required=True,
        default="answer",
        help="What a sender hears while nothing can be stored.",
    )

    _ack_seconds_positive = models.Constraint(
        "CHECK (ack_mode = 'commit' OR ack_seconds > 0)",
        "The time for an answer must be longer than zero seconds.",
    )

    @api.constrains("transport", "direction", "mllp_port", "codec")
    def _check_mllp(self):
        for interface in self:
            if interface.transport != "mllp" or interface.direction != "in":
                continue
            if interface.codec != "hl7v2":
                raise ValidationError(
                    self.env._("MLLP carries HL7 v2: choose the codec HL7 v2.")
                )
            if not 1 <= interface.mllp_port <= 65535:
                raise ValidationError(
                    self.env._("Choose an MLLP port from 1 to 65535; 2575 is usual.")
                )

    @api.constrains("transport", "direction", "mllp_port", "message_types", "state")
    def _check_mllp_routes(self):
        """On one port a message type must lead to one interface."""
        for port in {each.mllp_port for each in self if each._on_mllp()}:
            for kind, codes in self._mllp_routes(port).items():
                if len(codes) > 1:
                    raise ValidationError(
                        self.env._(
                            "Port %(port)s: message type %(kind)s is taken by more "
                            "than one interface (%(codes)s). Choose another port or "
                            "other message types.",
                            port=port,
                            kind=kind,
                            codes=", ".join(sorted(codes)),
                        )
                    )

    @api.model
    def _mllp_routes(self, port):
        """{message type: codes of the interfaces that take it}; * for all types."""
        routes = defaultdict(set)
        domain = [("mllp_port", "=", port), ("transport", "=", "mllp")]
        for interface in self.sudo().search(domain):
            if interface._on_mllp():
                for kind in (interface.message_types or "*").split(","):
                    routes[kind.strip()].add(interface.code)
        return routes

    def _check_key_source(self, source):
        """At the door keys are found by scanning, in a smaller notation."""
        super()._check_key_source(source)
        if self.codec != "hl7v2":
            return
        try:
            msh.order_key(b"MSH|^~\\&|", source, _HEADER)
        except Er7Error as exc:
            raise ValidationError(
                self.env._(
                    "%s is not a key that can be read at the door: write "
                    "segment, field and component, for example ORC-2-1, and "
                    "alternatives with |.",
                    source,
                )
            ) from exc

    @api.model_create_multi
    def create(self, vals_list):
        """To repeat a message with its MSH-10 is the rule of the standard."""
        for vals in vals_list:
            if vals.get("transport") == "mllp" and vals.get("direction") == "out":
                vals.setdefault("repeat_safe", True)
        return super().create(vals_list)

    @api.onchange("transport", "direction")
    def _onchange_repeat_safe(self):
        if self.transport == "mllp" and self.direction == "out":
            self.repeat_safe = True

    def _on_mllp(self):
        """True while the listener may serve this interface."""
        self.ensure_one()
        inbound = self.transport == "mllp" and self.direction == "in"
        return inbound and self.active and self.state in ("live", "suspended")
