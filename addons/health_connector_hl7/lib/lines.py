"""Cut the text of a message into segments' lines.

The terminator is CR. LF and CRLF (files, editors), doubled terminators and blank
lines are tolerated; the endings are kept, so that a message can be written back as
it came.
"""

import re
from functools import lru_cache
from itertools import islice
from operator import itemgetter

from .errors import Er7Error

Lines = tuple[list[str], list[str]]

SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
BATCH_NAMES = frozenset(("MSH", "FHS", "BHS", "BTS", "FTS"))

MAX_KNOWN = 64  # a set of more names than any structure has is not worth keeping

_LINE_ENDS = re.compile(r"([\r\n]+)")
_PREFIX = itemgetter(slice(4))


def read_lines(text: str, field_sep: str) -> Lines:
    """Lines and their endings; every line begins with a segment name.

    :raises Er7Error: ``er7.control_character``, ``er7.segment_name``, ``er7.batch``
    """
    for char in "\0\x0b\x1c":
        if char in text:
            raise Er7Error(
                "er7.control_character", hl7_code="102", offset=text.index(char)
            )
    lines, endings = _split_lines(text, field_sep)
    prefixes = frozenset(map(_PREFIX, islice(lines, 1, None)))
    known = _are_known if len(prefixes) <= MAX_KNOWN else _are_prefixes
    if not known(prefixes, field_sep):
        lines, endings = _absorb_blank_lines(lines, endings)
        _refuse_bad_line(lines, field_sep)
    return lines, endings


def _split_lines(text: str, field_sep: str) -> Lines:
    """Cut at CR, CRLF, LF and runs of them. In a message that uses CR, a lone LF is
    content, unless it ends the header or a segment begins behind it."""
    lines = text.split("\r")
    last = lines.pop()
    if "\n" in text or "" in lines:
        parts = _LINE_ENDS.split(text)
        return _split_mixed_lines(parts, "\r" not in text, field_sep)
    endings = ["\r"] * len(lines)
    return (lines + [last], endings + [""]) if last else (lines, endings)


def _split_mixed_lines(parts: list[str], only_lf: bool, field_sep: str) -> Lines:
    lines, endings, open_parts = [], [], []
    for number in range(0, len(parts) - 1, 2):
        line, ending, follower = parts[number : number + 3]
        open_parts.append(line)
        is_end = only_lf or "\r" in ending or not follower or not lines
        if is_end or _is_prefix(follower[:4], field_sep):
            lines.append("".join(open_parts))
            endings.append(ending)
            open_parts = []
        else:
            open_parts.append(ending)
    if open_parts or parts[-1]:
        lines.append("".join([*open_parts, parts[-1]]))
        endings.append("")
    return lines, endings


def _absorb_blank_lines(lines: list[str], endings: list[str]) -> Lines:
    """A line of nothing but blanks belongs to the line end before it."""
    kept_lines: list[str] = []
    kept_endings: list[list[str]] = []
    for line, ending in zip(lines, endings, strict=True):
        if line.strip(" \t") or not kept_lines:
            kept_lines.append(line)
            kept_endings.append([ending])
        else:
            kept_endings[-1] += (line, ending)
    return kept_lines, ["".join(parts) for parts in kept_endings]


def _refuse_bad_line(lines: list[str], field_sep: str) -> None:
    for position, line in enumerate(lines[1:], 2):
        if not _is_prefix(line[:4], field_sep):
            is_batch = line[:3] in BATCH_NAMES
            code = "er7.batch" if is_batch else "er7.segment_name"
            raise Er7Error(code, position=position)


def _are_prefixes(prefixes: frozenset[str], field_sep: str) -> bool:
    return all(_is_prefix(prefix, field_sep) for prefix in prefixes)


_are_known = lru_cache(maxsize=1024)(_are_prefixes)


@lru_cache(maxsize=1024)
def _is_prefix(prefix: str, field_sep: str) -> bool:
    name, separator = prefix[:3], prefix[3:]
    is_name = SEGMENT_NAME.fullmatch(name) and name not in BATCH_NAMES
    return bool(is_name) and separator in ("", field_sep)
