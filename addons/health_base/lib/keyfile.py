"""Where the key ring file is, and the index key in it.

The ring is made by the set-up and used by the connector core; this addon reads one
entry of it::

    {"version": 1, "active": "k1", "keys": {"k1": "…"}, "index": "<base64, 32 bytes>"}
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from .blind import BlindIndex

VARIABLE = "HEALTH_KEYRING"
SECTION, OPTION = "health_connector", "keyring"


class KeyfileError(Exception):
    """The index key cannot be had; ``code`` says why, ``params`` where.

    Codes: ``keyring.unconfigured``, ``keyring.unreadable``, ``keyring.mode``,
    ``keyring.damaged``.
    """

    error_class = "bug"  # goes to the administrator, is not retried

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


def configured_path(environ: Mapping[str, str], config_file: str | None) -> str:
    """Path of the key ring: the variable wins over the configuration file.

    :raises KeyfileError: neither names one
    """
    path = environ.get(VARIABLE) or _path_in(config_file)
    if not path:
        raise KeyfileError("keyring.unconfigured")
    return path


def load_index(path: str) -> BlindIndex:
    """The blind index keyed by the ring at ``path``; read again when it changed.

    :raises KeyfileError: missing, readable by others, or damaged
    """
    try:
        found = os.stat(path)
    except OSError as exc:
        raise KeyfileError("keyring.unreadable", path=path) from exc
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyfileError("keyring.mode", path=path)
    return _load(path, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=4)
def _load(path: str, _mtime_ns: int, _inode: int) -> BlindIndex:
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise KeyfileError("keyring.unreadable", path=path) from None
    try:
        return BlindIndex(base64.b64decode(json.loads(text)["index"], validate=True))
    except (KeyError, TypeError, ValueError):
        # Without its cause, which could quote the file.
        raise KeyfileError("keyring.damaged", path=path) from None


def _path_in(config_file: str | None) -> str:
    if not config_file:
        return ""
    try:
        mtime_ns = os.stat(config_file).st_mtime_ns
    except OSError:
        return ""
    return _read_option(config_file, mtime_ns)


@lru_cache(maxsize=4)
def _read_option(config_file: str, _mtime_ns: int) -> str:
    # Raw: a percent sign in any other section must not break this one.
    parser = configparser.RawConfigParser()
    parser.read([config_file])
    return parser.get(SECTION, OPTION, fallback="").strip()
