"""Status and flag tables of HL7 v2, read as the words of contract lab.result.

Source: HL7 v2.5.1 appendix A, tables 0123 (OBR-25), 0085 (OBX-11), 0078 (OBX-8), with
the additions of later versions.
"""

from __future__ import annotations

from collections.abc import Iterable

REPORT_STATUS = {
    "O": "registered",  # order received, specimen not yet
    "I": "registered",  # specimen in the laboratory
    "S": "registered",  # scheduled
    "N": "registered",  # procedure completed, results pending
    "A": "partial",  # some, not all, results available
    "P": "preliminary",
    "R": "preliminary",  # stored, not yet verified
    "M": "preliminary",  # corrected, not final
    "F": "final",
    "C": "corrected",
    "X": "cancelled",  # no results available, order cancelled
}
OBSERVATION_STATUS = {
    "I": "registered",
    "P": "preliminary",
    "R": "preliminary",  # entered, not verified
    "S": "preliminary",  # partial; deprecated
    "F": "final",
    "U": "final",  # final, without sending the result again
    "V": "final",  # verified
    "C": "corrected",
    "A": "corrected",  # amended
    "B": "corrected",  # appended
    "X": "cancelled",  # cannot be obtained
    "D": "deleted",
    "W": "wrong",  # posted as wrong, for example on the wrong patient
    "N": "not_reported",  # not asked
    "O": "not_reported",  # detail of the order, no result
}

NORMAL, ABNORMAL, CRITICAL = FLAGS = ("normal", "abnormal", "critical")

_CRITICAL = frozenset({"LL", "HH", "AA"})
_NORMAL = frozenset({"N", "NEG", "ND", "NR", "S", "SYN-S", "VS", "WR"})
#: a change since the last time, or nothing at all; says nothing about the level
_SILENT = frozenset({"", "U", "D", "B", "W", "NULL"})


def report_status(code: str) -> str:
    """OBR-25 as a word.

    :raises ValueError: not a status a result can have (Y and Z answer queries)
    """
    return _read(REPORT_STATUS, code)


def observation_status(code: str) -> str:
    """OBX-11 as a word.

    :raises ValueError: not in table 0085
    """
    return _read(OBSERVATION_STATUS, code)


def _read(table: dict[str, str], code: str) -> str:
    word = table.get(code.strip().upper())
    if word is None:
        raise ValueError("not in the table")  # the code itself could be content
    return word


def flag(codes: Iterable[str]) -> str | None:
    """The gravest of the OBX-8 flags of one observation; None when they say nothing.

    A flag nobody knows counts as abnormal: a person looks once too often rather than
    never.
    """
    return worst(filter(None, map(_flag, codes)))


def _flag(code: str) -> str | None:
    code = code.strip().upper()
    if code in _SILENT:
        return None
    if code in _CRITICAL:
        return CRITICAL
    return NORMAL if code in _NORMAL else ABNORMAL


def worst(flags: Iterable[str]) -> str | None:
    """The gravest of some flags; None when there is none."""
    return max(flags, key=FLAGS.index, default=None)
