"""The MLLP transport: sends one message and classifies the answer."""

import ssl

from odoo import api, models

from ..lib.mllp_client import Timeouts, send


class HealthTransportMllp(models.AbstractModel):
    """Receiving is the work of a process of its own, see ``listener.py``."""

    _name = "health.transport.mllp"
    _description = "MLLP"
    _transport = "mllp"

    @api.model
    def _send(self, backend, raw):
        """Send one message to a backend and wait for its answer.

        Transaction rule: to be called outside of any transaction that changed
        something; it may take as long as the backend's timeouts allow.

        :param backend: ``health.backend`` with host, port and timeouts
        :param raw: bytes of the message, in its charset, MSH-10 set; every try of one
            message has the same MSH-10
        :return: :class:`~..lib.mllp_client.Outcome`; never raises for the network
        :raises Er7Error: the message has no header or no control id
        """
        timeouts = Timeouts(
            backend.connect_timeout, backend.read_timeout, backend.read_timeout
        )
        tls = ssl.create_default_context() if backend.mllp_tls else None
        return send(backend.host or "", backend.port, raw, timeouts, tls)
