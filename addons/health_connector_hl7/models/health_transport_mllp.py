"""The MLLP transport: sends one message and classifies the answer."""

import ssl
import time
from dataclasses import dataclass

from odoo import api, models
from odoo.exceptions import ValidationError

from odoo.addons.health_connector.lib import transport
from odoo.addons.health_connector.lib.errors import BUG, HealthError
from odoo.addons.health_connector.lib.transport import Sent

from ..lib.errors import Er7Error
from ..lib.mllp_client import Timeouts, send

#: table 0357: the partner has a message with this control id
_DUPLICATE = "205"
#: a job must end before its worker is ended, whatever an administrator sets
_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Destination:
    host: str
    port: int
    timeouts: Timeouts
    tls: bool
    repeat_safe: bool


class HealthTransportMllp(models.AbstractModel):
    """Receiving is the work of a process of its own, see ``listener.py``. Every try of
    one message has the same MSH-10, which is all that a receiver needs to tell them
    apart."""

    _name = "health.transport.mllp"
    _inherit = "health.transport"
    _description = "MLLP"
    _transport = "mllp"

    @api.model
    def _destination(self, backend, interface):
        if not backend.host or not backend.port:
            raise HealthError("mllp.no_address", BUG, {"backend": backend.id})
        read = min(backend.read_timeout, _LONGEST)
        timeouts = Timeouts(min(backend.connect_timeout, 15.0), read, read)
        return Destination(
            backend.host,
            backend.port,
            timeouts,
            backend.mllp_tls,
            interface.repeat_safe,
        )

    @api.model
    def _call(self, destination, outgoing):
        tls = ssl.create_default_context() if destination.tls else None
        started = time.monotonic()
        try:
            outcome = send(
                destination.host,
                destination.port,
                outgoing.body,
                destination.timeouts,
                tls,
            )
        except Er7Error as error:  # before anything was sent
            raise HealthError(error.code, error.error_class, error.params) from None
        ms = (time.monotonic() - started) * 1000
        known = destination.repeat_safe and outgoing.tries > 1
        return Sent(
            self._meaning(outcome, known),
            _code(outcome),
            answer=outcome.answer,
            answer_type="application/hl7-v2" if outcome.answer else "",
            ms=ms,
        )

    @api.model
    def _meaning(self, outcome, repeated):
        """The outcome in the words of all transports.

        A partner that is locked or failed inside (AE 206, 207) may take the message
        later; one that says of a repetition that it has it already, has it.
        """
        if outcome.kind == "acked":
            return transport.DELIVERED
        if outcome.delivery != "rejected":
            return outcome.delivery
        if repeated and _DUPLICATE in outcome.conditions:
            return transport.DELIVERED
        retried = outcome.error_class == "transient"
        return transport.NOT_DELIVERED if retried else transport.REJECTED

    @api.model
    def _check_interface(self, interface):
        backend = interface.backend_id
        if interface.codec != "hl7v2":
            raise ValidationError(
                self.env._("MLLP carries HL7 v2: choose the codec HL7 v2.")
            )
        if interface.state == "live" and not (backend.host and backend.port):
            raise ValidationError(
                self.env._(
                    "Backend %(backend)s has no host and port. Enter them before "
                    "interface %(code)s goes live.",
                    backend=backend.name,
                    code=interface.code,
                )
            )


def _code(outcome):
    """A name for the attempt's record: the kind, and what the answer said of it."""
    return ".".join(
        part
        for part in ("mllp", outcome.kind, outcome.detail, *outcome.conditions[:1])
        if part
    )
