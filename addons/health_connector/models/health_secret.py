"""Write-only credentials."""

import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import NO_ACCESS

BEARER_BYTES = 32


class HealthSecret(models.Model):
    """A credential of a backend. Its value can be set and checked, never read.

    Bearer keys are made here, shown once, and kept as a keyed hash: they hold 256
    random bits, so a fast hash is enough and a slow one would only cost requests.
    """

    _name = "health.secret"
    _description = "Secret"
    _order = "backend_id, name"

    name = fields.Char(required=True)
    backend_id = fields.Many2one("health.backend", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="backend_id.company_id", store=True)
    kind = fields.Selection(
        [("bearer", "Inbound bearer key")], required=True, default="bearer"
    )
    digest = fields.Char(groups=NO_ACCESS, copy=False, readonly=True)
    last4 = fields.Char(string="Last 4", copy=False, readonly=True)
    set_at = fields.Datetime(copy=False, readonly=True)
    set_by_id = fields.Many2one("res.users", copy=False, readonly=True)
    expires_at = fields.Datetime()
    revoked_at = fields.Datetime(copy=False, readonly=True)

    _digest_idx = models.Index("(backend_id, digest) WHERE digest IS NOT NULL")

    @api.model
    def _digest_of(self, value):
        """The form in which a bearer key is stored and looked up."""
        return self.env["health.keyring"]._ring().blind("secret:bearer", value)

    def _set_value(self, value):
        """Replace the value; the old one stops working at once."""
        self.ensure_one()
        if len(value) < 20:
            raise UserError(self.env._("Use a key of at least 20 random characters."))
        self.sudo().write(
            {
                "digest": self._digest_of(value),
                "last4": value[-4:],
                "set_at": fields.Datetime.now(),
                "set_by_id": self.env.uid,
                "revoked_at": False,
            }
        )

    def action_generate(self):
        """Make a new key and show it, once."""
        self.ensure_one()
        self.check_access("write")
        value = f"hk_{secrets.token_urlsafe(BEARER_BYTES)}"
        self._set_value(value)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "sticky": True,
                "title": self.env._("Copy this key now, it is not shown again"),
                "message": value,
            },
        }

    def action_revoke(self):
        """Stop accepting this key."""
        self.check_access("write")
        self.sudo().write({"revoked_at": fields.Datetime.now()})
