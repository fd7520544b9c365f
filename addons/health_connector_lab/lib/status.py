"""What a report means for the result status of an ordered test.

Pure rules over words of contract lab.result. Sources: HL7 v2.5.1 chapter 7 (OBX-11:
"F can only be changed with a corrected result"; D, W and X withdraw), and the rules
of our own where the standard is silent, each named where it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

ORDERED = "ordered"
REGISTERED = "registered"
PRELIMINARY = "preliminary"
PARTIAL = "partial"
FINAL = "final"
CORRECTED = "corrected"
CANCELLED = "cancelled"
WRONG = "wrong"

#: from nothing to complete
_LEVELS = (ORDERED, REGISTERED, PRELIMINARY, PARTIAL, FINAL)
OPEN = frozenset({ORDERED, REGISTERED, PRELIMINARY, PARTIAL})
RELEASED = frozenset({FINAL, CORRECTED})
WITHDRAWN = frozenset({CANCELLED, WRONG})
#: some of the result can be read
REPORTED = frozenset({PRELIMINARY, PARTIAL}) | RELEASED

STALE_STATUS = "lab.stale_status"
STALE_TIME = "lab.stale_time"
REPEATED = "lab.repeated"


def summarise(report: str | None, observations: Sequence[str]) -> str | None:
    """The one status of a test from its report status and those of its observations.

    Where the two disagree the less final one holds. A withdrawal or a correction of
    any observation is that of the test: somebody must look again.

    :param report: word for OBR-25, if given
    :param observations: words for OBX-11
    :return: None when nothing says a status
    """
    stated = [status for status in observations if status != "not_reported"]
    if WRONG in stated or (stated and set(stated) == {"deleted"}):
        return WRONG
    if report == CANCELLED or (stated and set(stated) <= {CANCELLED, "deleted"}):
        return CANCELLED
    if CORRECTED in (report, *stated) or "deleted" in stated:
        return CORRECTED
    level = _level(stated)
    if report is None or level is None:
        return report or level
    if report == REGISTERED:
        return PARTIAL if level == FINAL else level
    return min(report, level, key=_LEVELS.index)


def _level(stated: list[str]) -> str | None:
    """How complete the observations are."""
    kinds = set(stated) - {CANCELLED}
    if not kinds:
        return None
    if kinds == {REGISTERED}:
        return REGISTERED
    if kinds <= {REGISTERED, PRELIMINARY}:
        return PRELIMINARY
    return FINAL if kinds == {FINAL} else PARTIAL


@dataclass(frozen=True, slots=True)
class Result:
    """The result status of a test, as known or as to be.

    :param at: UTC, naive; when the laboratory reported it
    :param version: 0 before any result, then counted up with each change of a
        released result
    """

    status: str = ORDERED
    at: datetime | None = None
    version: int = 0


def advance(known: Result, status: str, at: datetime) -> Result | str:
    """What becomes of a test when a report arrives.

    :return: the new result, or the reason why the report is ignored
    """
    if known.at and at < known.at and not _is_first_release(known, status):
        return STALE_TIME
    if known.status in WITHDRAWN and status not in WITHDRAWN and at == known.at:
        # a copy of what was withdrawn must not bring it back
        return STALE_TIME
    if status in OPEN and known.status in RELEASED:
        return STALE_STATUS
    if status == REGISTERED and known.status in REPORTED:
        return STALE_STATUS
    return Result(_kept(known.status, status), at, _version(known, status, at))


def _is_first_release(known: Result, status: str) -> bool:
    """Final comes after preliminary whatever their times say: one may be the time of
    the result and the other that of the message. Not where a result was withdrawn
    before: then it could be the withdrawn one."""
    return known.status in OPEN and known.version <= 1 and status in RELEASED


def _kept(known: str, status: str) -> str:
    """A later copy does not make a test less complete."""
    if known == CORRECTED and status == FINAL:
        return CORRECTED
    if known == PARTIAL and status == PRELIMINARY:
        return PARTIAL
    return status


def _version(known: Result, status: str, at: datetime) -> int:
    if status == REGISTERED:
        return known.version
    if known.version == 0:
        return 1
    repeated = known.status == status and known.at == at
    changes_released = known.status in RELEASED and status in {CORRECTED} | WITHDRAWN
    is_new = changes_released or known.status in WITHDRAWN or status in WITHDRAWN
    return known.version + (is_new and not repeated)


def order_state(statuses: Iterable[str]) -> str:
    """The state of an order from the result statuses of its tests.

    A cancelled test is waited for no more; a wrong one counts as not reported.
    """
    statuses = list(statuses)
    wanted = {status for status in statuses if status != CANCELLED}
    if statuses and not wanted:
        return CANCELLED
    if CORRECTED in wanted:
        return CORRECTED
    if wanted and wanted <= RELEASED:
        return FINAL
    return PARTIAL if wanted & REPORTED else ORDERED
