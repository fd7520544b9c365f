"""Finding out what became of a call in doubt."""

import logging

from odoo import api, models

from ..lib import transport
from .work import describe

_logger = logging.getLogger(__name__)


class HealthProbe(models.AbstractModel):
    """Asks who may know. No fields, nothing over RPC."""

    _name = "health.probe"
    _description = "Probe"

    @api.model
    def _ask(self, backend, work):
        """Whether a message in doubt has arrived: its handler may know, or the
        transport may have a way to ask.

        :return: ``delivered``, ``not_delivered``, ``unknown``; None: no way to ask
        """
        plugins = self.env["health.plugin"]
        for kind, name in (
            ("handler", work.interface.handler),
            ("transport", work.interface.transport),
        ):
            try:
                plugin = plugins._get(kind, name)
                answer = plugin._probe(backend, work.interface, work.outgoing)
            except Exception as exc:  # asking must not decide anything by failing
                failure = describe(exc)
                _logger.warning("message %s: probe failed: %s", work.id, failure.code)
                answer = transport.UNKNOWN
            if answer is not None:
                return answer
        return None
