"""May a call be made now, and what became of it: pause, windows, breaker, limits."""

from dataclasses import dataclass
from datetime import datetime

from odoo import api, models


@dataclass(frozen=True, slots=True)
class Permit:
    """The gate's answer.

    :param until: naive UTC; when to ask again, None when a person decides
    :param probe: this call decides whether a breaker closes
    """

    allowed: bool
    until: datetime | None = None
    reason: str = ""
    probe: bool = False


class HealthGate(models.AbstractModel):
    """Asked before each outbound call and told its outcome. Each method works in a
    short cursor of its own."""

    _name = "health.gate"
    _description = "Gate"

    @api.model
    def _permit(self, backend):
        """May one call to this backend be made now? Uses up what it grants."""
        return Permit(True)

    @api.model
    def _report(self, backend, outcome, ms, probe=False):
        """What a permitted call came to, in the words of ``lib.transport.Sent``."""
