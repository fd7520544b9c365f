"""Where an external system is reached over HTTP."""

import ipaddress
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import ValidationError


class HealthBackend(models.Model):
    # a concern of its own: where the system is reached
    _inherit = "health.backend"  # pylint: disable=consider-merging-classes-inherited

    http_url = fields.Char(
        string="HTTP address",
        help="Address that paths of interfaces are added to, for example "
        "https://api.partner.example/v1. Empty: https, host and port.",
    )

    @api.constrains("http_url", "environment")
    def _check_http_url(self):
        for backend in self.filtered("http_url"):
            parts = _split(backend.http_url)
            if parts is None or parts.username or parts.query or parts.fragment:
                raise ValidationError(
                    self.env._(
                        "Write the HTTP address as https://host/path, without user, "
                        "password or parameters. Credentials belong to Secrets."
                    )
                )
            open_way = parts.scheme == "http" and not _is_local(parts.hostname)
            if open_way and backend.environment == "production":
                raise ValidationError(
                    self.env._(
                        "Production traffic goes over https only. Write https:// in "
                        "the HTTP address of %s.",
                        backend.name,
                    )
                )

    def _http_base(self):
        """The address without a slash at its end; empty when there is none."""
        self.ensure_one()
        if self.http_url:
            return self.http_url.rstrip("/")
        if not self.host:
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}" if self.port else f"https://{host}"


def _split(url):
    """The parts of an absolute http or https URL, or None."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname
        return parts if valid and parts.port != 0 else None
    except ValueError:
        return None


def _is_local(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
