"""Bytes as text that a person may edit, and back; only where nothing is lost."""

from __future__ import annotations

from .errors import REJECTED, HealthError

#: line ends as they may stand in a message; a text box knows "\n" only
_LINE_ENDS = ("\r\n", "\r", "\n")


def to_text(raw: bytes, charset: str) -> tuple[str, str]:
    """The text of a message with ``\\n`` as line end.

    :param charset: a Python codec
    :return: the text, and the line end of the message
    :raises HealthError: ``edit.not_text``: it is no text, or would not come back
        as the same bytes if nothing were edited
    """
    try:
        text = raw.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise HealthError("edit.not_text", REJECTED) from None
    line_end = next((each for each in _LINE_ENDS if each in text), "\n")
    shown = text.replace(line_end, "\n")
    if "\0" in shown or to_bytes(shown, line_end, charset) != raw:
        raise HealthError("edit.not_text", REJECTED)
    return shown, line_end


def to_bytes(text: str, line_end: str, charset: str) -> bytes:
    """The bytes of an edited text.

    :raises HealthError: ``edit.charset``: a letter that the message's charset lacks
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return plain.replace("\n", line_end).encode(charset)
    except UnicodeEncodeError as error:
        position = {"position": error.start}
        raise HealthError("edit.charset", REJECTED, position) from None
