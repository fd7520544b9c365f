import os

from odoo import api, models
from odoo.tools import LazyTranslate, config

from ..exceptions import HealthUserError
from ..lib import keyfile
from ..lib.blind import BlindIndex

_lt = LazyTranslate(__name__)

WHAT_TO_DO = {
    "keyring.unconfigured": _lt(
        "No key ring is configured, so identifiers cannot be indexed. Ask the "
        "administrator to name the key ring file: option 'keyring' in section "
        "[health_connector] of the Odoo configuration file, or the variable "
        "HEALTH_KEYRING. Then restart Odoo."
    ),
    "keyring.unreadable": _lt(
        "The key ring file cannot be read, so identifiers cannot be indexed. Ask the "
        "administrator to put it back at the configured path, readable by Odoo, or "
        "to create one with the set-up."
    ),
    "keyring.mode": _lt(
        "The key ring file may be read by others, so it is not used. Ask the "
        "administrator to make it readable by its owner only (mode 0600)."
    ),
    "keyring.damaged": _lt(
        "The key ring file is damaged: it holds no index key of 32 bytes. Ask the "
        "administrator to restore it from its backup."
    ),
}


class HealthBlind(models.AbstractModel):
    _name = "health.blind"
    _description = "Blind index"

    @api.model
    def _index(self) -> BlindIndex:
        """The blind index of this server, keyed from the key ring file.

        Ask for it once and call ``digest`` often: it is a plain object, free of
        Odoo. The ring is read again only when the file changed.

        :raises HealthUserError: no usable key ring (``keyring.*``)
        """
        try:
            path = keyfile.configured_path(os.environ, config["config"])
            return keyfile.load_index(path)
        except keyfile.KeyfileError as exc:
            message = self.env._(WHAT_TO_DO[exc.code])
            raise HealthUserError(
                message, exc.code, exc.error_class, exc.params
            ) from None

    @api.model
    def _digest(self, scope: str, text: str) -> str:
        """Keyed hash of one text, see :meth:`BlindIndex.digest`."""
        return self._index().digest(scope, text)
