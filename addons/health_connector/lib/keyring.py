"""The key ring: AES-256-GCM sealing and keyed hashes, keys outside the database.

The ring is a JSON file readable by its owner only::

    {"version": 1, "active": "k1", "keys": {"k1": "<base64, 32 bytes>"},
     "index": "<base64, 32 bytes>"}

``keys`` seal payloads and secrets, several may live at once and ``active`` seals
new ones. ``index`` makes keyed hashes (dedupe keys, order keys, look-ups); it does
not rotate with the others, because a hash cannot be computed again from a hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import BUG, HealthError

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = b"\x01"
VERSION = 1


class KeyringError(HealthError):
    """The ring is missing, unsafe or cannot open something. Nothing is accepted."""

    def __init__(self, code: str, hint: str, **params) -> None:
        super().__init__(code, BUG, params)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.hint}"


class Keyring:
    """Seals, opens and blinds. Holds keys in memory only; ``repr`` shows none."""

    def __init__(self, active: str, keys: dict[str, bytes], index: bytes) -> None:
        if active not in keys:
            raise KeyringError("keyring.active", "the active key is not in the ring")
        for material in (*keys.values(), index):
            if len(material) != KEY_BYTES:
                raise KeyringError("keyring.length", "every key must be 32 bytes long")
        self.active = active
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._index = index

    def __repr__(self) -> str:
        return f"<Keyring active={self.active} keys={len(self._ciphers)}>"

    # -- the file ---------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Keyring:
        """Read a ring; refuse one that others may read.

        :raises KeyringError: missing, readable by others or damaged
        """
        try:
            mode = os.stat(path).st_mode
            text = Path(path).read_text(encoding="ascii")
        except (OSError, TypeError, UnicodeDecodeError) as exc:
            raise KeyringError(
                "keyring.unreadable",
                "create the key ring file and name it in [health_connector] keyring",
            ) from exc
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyringError(
                "keyring.mode", "the key ring must be readable by its owner only (0600)"
            )
        return cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> Keyring:
        try:
            ring = json.loads(text)
            if ring["version"] != VERSION:
                raise ValueError
            keys = {name: _decode(value) for name, value in ring["keys"].items()}
            return cls(ring["active"], keys, _decode(ring["index"]))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            # the cause could quote the file: it is cut off on purpose
            exc.__traceback__ = None
        raise KeyringError("keyring.damaged", "restore the key ring from its backup")

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Keyring:
        """Write a new ring with one key, mode 0600; never overwrite one.

        :raises FileExistsError: a ring is there already
        """
        ring = {
            "version": VERSION,
            "active": "k1",
            "keys": {"k1": _encode(secrets.token_bytes(KEY_BYTES))},
            "index": _encode(secrets.token_bytes(KEY_BYTES)),
        }
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            json.dump(ring, stream, indent=1)
        return cls.load(path)

    # -- sealing ----------------------------------------------------------------

    def seal(self, data: bytes, aad: bytes) -> tuple[str, bytes]:
        """Encrypt ``data`` and bind it to ``aad``; returns (key id, sealed bytes)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self.active, FORMAT + nonce + self._ciphers[self.active].encrypt(
            nonce, data, aad
        )

    def open(self, key_id: str, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt what :meth:`seal` made.

        :raises KeyringError: unknown key, other format, or the bytes do not belong
            to this ``aad`` (a swapped or altered row)
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyringError(
                "keyring.key_missing", "put the key back into the key ring"
            )
        if sealed[:1] != FORMAT:
            raise KeyringError("keyring.format", "the sealed bytes have another format")
        try:
            return cipher.decrypt(sealed[1:13], sealed[13:], aad)
        except (InvalidTag, ValueError) as exc:  # ValueError: cut short
            raise KeyringError(
                "keyring.tampered", "the payload was altered or belongs elsewhere"
            ) from exc

    # -- keyed hashes -----------------------------------------------------------

    def blind(self, scope: str, text: str | bytes) -> str:
        """A keyed hash of ``text`` within ``scope``: 22 characters, 128 bits.

        Equal inputs give equal hashes, so rows can be found and compared; without
        the ring nobody can try candidates.
        """
        if isinstance(text, str):
            # broken input (half a surrogate pair) is hashed, not refused
            text = text.encode("utf-8", "surrogatepass")
        digest = hmac.digest(
            self._index, scope.encode() + b"\x00" + text, hashlib.sha256
        )
        return base64.urlsafe_b64encode(digest[:16])[:22].decode()


def _encode(material: bytes) -> str:
    return base64.b64encode(material).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
