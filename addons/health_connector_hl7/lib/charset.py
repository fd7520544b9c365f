"""Character sets of HL7 v2 messages (MSH-18, table 0211).

Only names of this table are accepted, never any codec Python happens to know.
Decoding is strict: a byte that does not fit refuses the message, it never becomes
a question mark. Blank means ASCII in the standard; UTF-8 contains it, so a blank or
ASCII declaration is read as UTF-8 (a Latin-1 text almost never passes as UTF-8).
"""

import re
from functools import lru_cache

from .errors import Er7Error

DEFAULT_CODEC = "utf-8"
MAX_DECLARED = 200  # characters of MSH-18 that are looked at

_LATIN_PARTS = (*range(1, 12), 13, 14, 15, 16)
_CODECS = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "ISOIR100": "iso8859-1",
    "WINDOWS1252": "cp1252",
    "CP1252": "cp1252",
    "ISOIR13": "shift_jis",
    "ISOIR14": "shift_jis",
    "SHIFTJIS": "shift_jis",
    "ISOIR87": "iso2022_jp_2",
    "ISOIR159": "iso2022_jp_2",
    "GB18030": "gb18030",
    "GB180302000": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
}
for _part in _LATIN_PARTS:
    _CODECS[f"8859{_part}"] = f"iso8859-{_part}"
    _CODECS[f"ISO8859{_part}"] = f"iso8859-{_part}"


def python_codec(hl7_name: str) -> str:
    """Python codec for one MSH-18 name; blank gives UTF-8.

    :raises Er7Error: ``er7.charset_unsupported`` (AE, 103)
    """
    if not hl7_name.strip():
        return DEFAULT_CODEC
    codec = _CODECS.get(re.sub(r"[\s/_-]", "", hl7_name).upper())
    if codec is None:
        raise Er7Error(
            "er7.charset_unsupported",
            hl7_code="103",
            segment="MSH",
            position=1,
            field=18,
        )
    return codec


@lru_cache(maxsize=64)
def declared_codec(charsets: str) -> str:
    """Codec of a whole MSH-18. A second repetition names the set that escape
    sequences of ISO 2022 switch to; that one decides for Japanese texts.

    :raises Er7Error: ``er7.charset_unsupported``
    """
    codecs = [python_codec(name) for name in charsets[:MAX_DECLARED].split("~")]
    switching = [codec for codec in codecs[1:] if codec.startswith("iso2022")]
    return switching[0] if switching else codecs[0]


def codec_or_none(charsets: str) -> str | None:
    """Like :func:`declared_codec`, None for a blank or unknown declaration."""
    try:
        return declared_codec(charsets) if charsets.strip() else None
    except Er7Error:
        return None


def decode_strict(raw: bytes, declared: str, override: str = "") -> tuple[str, str]:
    """Decode a whole message.

    :param declared: MSH-18 as it stands
    :param override: charset agreed with the partner; wins over the declaration
    :return: the text and the Python codec that encodes it again
    :raises Er7Error: ``er7.charset`` (AE, 102) with the offset of the first bad
        byte, or ``er7.charset_unsupported``
    """
    codec = declared_codec(override or declared)
    try:
        text = raw.decode("utf-8" if codec == "ascii" else codec)
    except UnicodeDecodeError as error:
        raise Er7Error(
            "er7.charset",
            hl7_code="102",
            charset=codec,
            offset=error.start,
            declared=bool(declared.strip()),
        ) from None
    if codec == "ascii" and not text.isascii():
        codec = DEFAULT_CODEC
    return text, codec
