"""Where the key ring is: the ``HEALTH_KEYRING`` variable, or the Odoo file."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from functools import lru_cache

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
    try:
        stamp = os.stat(rcfile).st_mtime_ns
    except OSError:
        return None
    return _read_option(rcfile, stamp)


@lru_cache(maxsize=4)
def _read_option(rcfile: str, _mtime_ns: int) -> str | None:
    """Parsed once for each change of the file: every request asks for the path."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(rcfile)
    return parser.get(SECTION, "keyring", fallback=None)
