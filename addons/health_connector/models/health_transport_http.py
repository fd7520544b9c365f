"""The HTTP transport: one POST for each message."""

from urllib.parse import urljoin

from odoo import api, models
from odoo.exceptions import ValidationError

from ..lib import http_client
from ..lib.errors import BUG, HealthError


class HealthTransportHttp(models.AbstractModel):
    """Receiving is the server itself: ``controllers/inbound.py``."""

    _name = "health.transport.http"
    _inherit = "health.transport"
    _description = "HTTP"
    _transport = "http"

    @api.model
    def _destination(self, backend, interface):
        return self._address(backend, interface, interface.path)

    @api.model
    def _address(self, backend, interface, path):
        base = backend._http_base()
        if not base:
            raise HealthError("http.no_address", BUG, {"backend": backend.id})
        return http_client.Destination(
            url=urljoin(f"{base}/", (path or "").lstrip("/")),
            connect=backend.connect_timeout,
            read=backend.read_timeout,
            bearer=self.env["health.secret"]._open_bearer(backend),
            repeat_safe=interface.repeat_safe,
        )

    @api.model
    def _call(self, destination, outgoing):
        return http_client.post(destination, outgoing)

    @api.model
    def _probe(self, backend, interface, outgoing):
        """Where the interface says at which address to look a key up."""
        if not interface.probe_path:
            return None
        with self._fresh(backend, interface) as (current, flow):
            asked = self._address(current, flow, flow.probe_path)
        return http_client.look_up(asked, outgoing.uid)

    @api.model
    def _check_interface(self, interface):
        backend = interface.backend_id
        if interface.state == "live" and not backend._http_base():
            raise ValidationError(
                self.env._(
                    "Backend %(backend)s has no HTTP address. Enter one before "
                    "interface %(code)s goes live.",
                    backend=backend.name,
                    code=interface.code,
                )
            )
        if interface.probe_path and "{key}" not in interface.probe_path:
            raise ValidationError(
                self.env._(
                    "Write {key} into the look-up path of %s, where the message's key "
                    "belongs, for example orders/{key}.",
                    interface.code,
                )
            )
