"""The process's key ring, loaded once and again when its file changes."""

import os

from odoo import api, models
from odoo.tools import config

from ..lib.keyring import Keyring
from ..lib.settings import keyring_path

_loaded = {}


class HealthKeyring(models.AbstractModel):
    """Gives the ring to code that seals; it has no fields and nothing over RPC."""

    _name = "health.keyring"
    _description = "Key ring"

    @api.model
    def _ring(self):
        """The key ring of this server.

        :raises KeyringError: no ring is configured, or it cannot be used
        """
        path = keyring_path(config["config"] or None)
        stamp = None
        if path and os.path.exists(path):
            stat = os.stat(path)
            stamp = (path, stat.st_mtime_ns, stat.st_size, stat.st_mode)
        if stamp is None or stamp not in _loaded:
            ring = Keyring.load(path)
            _loaded.clear()
            _loaded[stamp] = ring
        return _loaded[stamp]
