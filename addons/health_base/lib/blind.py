"""Blind index: find a value by its keyed hash, without a second clear copy of it.

Equal values give equal digests, so a digest can be indexed, compared and made
unique. Without the key nobody can try candidates, so a table, a log or a dump that
holds digests only gives no identifier away.
"""

from __future__ import annotations

import base64
import hmac
import unicodedata

KEY_BYTES = 32
DIGEST_BYTES = 16  # 128 bits: no accidental collision in any table we will meet


def normalise(text: str) -> str:
    """The one spelling of an identifier that is hashed.

    Unicode NFC, upper case, no white space anywhere: systems differ in how they
    print the same number ("mrn 100 001", "MRN100001"). Punctuation and leading
    zeros stay: they tell numbers apart.
    """
    folded = unicodedata.normalize("NFC", text).upper()
    return unicodedata.normalize("NFC", "".join(folded.split()))


class BlindIndex:
    """Keyed hashes of normalised texts. Holds the key in memory; never shows it."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a blind index needs a key of {KEY_BYTES} bytes")
        self._key = key

    def digest(self, scope: str, text: str) -> str:
        """HMAC-SHA-256 of ``text`` within ``scope``, 22 characters of base64url.

        :param scope: what the text is, e.g. ``"health.identifier"``; digests of two
            scopes cannot be compared with each other
        :param text: the value, normalised here
        """
        # The length keeps ("a", "bc") and ("ab", "c") apart.
        message = f"{len(scope)}:{scope}:{normalise(text)}"
        # A text with lone surrogates (broken input) is hashed, not refused.
        raw = message.encode("utf-8", "surrogatepass")
        mac = hmac.digest(self._key, raw, "sha256")[:DIGEST_BYTES]
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")
