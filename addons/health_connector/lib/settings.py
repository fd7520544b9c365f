"""Where the key ring is: the ``HEALTH_KEYRING`` variable, or the Odoo file."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping

SECTION = "health_connector"
VARIABLE = "HEALTH_KEYRING"


def keyring_path(
    rcfile: str | None, environ: Mapping[str, str] = os.environ
) -> str | None:
    """The path named by the environment, else by ``[health_connector] keyring``."""
    if environ.get(VARIABLE):
        return environ[VARIABLE]
    if not rcfile:
        return None
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(rcfile)
    return parser.get(SECTION, "keyring", fallback=None)
