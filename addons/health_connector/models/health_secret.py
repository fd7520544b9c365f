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
        [
            ("bearer", "Inbound bearer key"),
            ("bearer_out", "Outbound bearer token"),
        ],
        required=True,
        default="bearer",
    )
    new_value = fields.Char(
        compute="_compute_new_value",
        inverse="_inverse_new_value",
        help="The token the partner gave us. It is sealed at once and not shown again.",
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

    def init(self):
        """The sealed value is a column the ORM does not know, as that of payloads."""
        self.env.cr.execute(
            """ALTER TABLE health_secret
               ADD COLUMN IF NOT EXISTS sealed bytea,
               ADD COLUMN IF NOT EXISTS key_id varchar"""
        )

    @api.constrains("kind")
    def _check_kind(self):
        for secret in self.filtered("set_at"):
            raise UserError(
                self.env._(
                    "%s holds a value already. Make a new secret for another kind.",
                    secret.name,
                )
            )

    def _compute_new_value(self):
        self.new_value = False

    def _inverse_new_value(self):
        for secret in self:
            if secret.new_value:
                secret._set_token(secret.new_value.strip())

    def _set_token(self, value):
        """Seal a token that a partner gave us; the one before is not used any more."""
        self.ensure_one()
        if self.kind != "bearer_out":
            raise UserError(self.env._("An inbound key is generated, not entered."))
        if not value.isascii() or not value.isprintable() or " " in value:
            raise UserError(
                self.env._("A token is one line of letters, digits and signs.")
            )
        ring = self.env["health.keyring"]._ring()
        key_id, sealed = ring.seal(value.encode(), self._aad())
        self.env.cr.execute(
            "UPDATE health_secret SET key_id = %s, sealed = %s WHERE id = %s",
            [key_id, sealed, self.id],
        )
        self._mark_set(value)

    def _aad(self):
        """What binds a sealed token to its secret."""
        return f"secret|{self.id}".encode()

    @api.model
    def _open_bearer(self, backend):
        """The token for calls to a backend: the newest that is neither revoked nor
        expired; empty when there is none. For transports only, at the time of a call.

        :raises KeyringError: the ring lacks its key, or the row was altered
        """
        self.env.cr.execute(
            """SELECT id, key_id, sealed FROM health_secret
                WHERE backend_id = %s AND kind = 'bearer_out' AND sealed IS NOT NULL
                  AND revoked_at IS NULL
                  AND COALESCE(expires_at > now() AT TIME ZONE 'UTC', true)
             ORDER BY set_at DESC, id DESC LIMIT 1""",
            [backend.id],
        )
        found = self.env.cr.fetchone()
        if not found:
            return ""
        ring = self.env["health.keyring"]._ring()
        aad = self.browse(found[0])._aad()
        return ring.open(found[1], bytes(found[2]), aad).decode()

    def _set_value(self, value):
        """Replace the value; the old one stops working at once."""
        self.ensure_one()
        if len(value) < 20:
            raise UserError(self.env._("Use a key of at least 20 random characters."))
        self.sudo().write({"digest": self._digest_of(value)})
        self._mark_set(value)

    def _mark_set(self, value):
        self.sudo().write(
            {
                "last4": value[-4:] if len(value) >= 12 else "****",
                "set_at": fields.Datetime.now(),
                "set_by_id": self.env.uid,
                "revoked_at": False,
            }
        )

    def action_generate(self):
        """Make a new key and show it, once."""
        self.ensure_one()
        self.check_access("write")
        if self.kind != "bearer":
            raise UserError(self.env._("The partner gives out this token: enter it."))
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
        """Stop accepting this key, or using this token."""
        self.check_access("write")
        self.sudo().write({"revoked_at": fields.Datetime.now()})
