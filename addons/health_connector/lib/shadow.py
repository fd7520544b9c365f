"""Comparing what a shadow would have done with what the live flow did."""

from __future__ import annotations

from dataclasses import dataclass

from . import states

#: the live flow has ended in one of these, as far as a comparison goes
SUCCEEDED = frozenset({states.DONE, states.IGNORED, states.REVERTED})
FAILED = frozenset({states.PARKED, states.CANCELLED})


@dataclass(frozen=True, slots=True)
class ShadowSide:
    """What the rehearsal said.

    :param outcome: ``done``, ``ignored`` or ``failed``
    :param document_hash: of the canonical document; empty when there was none
    """

    outcome: str
    code: str = ""
    document_hash: str = ""


@dataclass(frozen=True, slots=True)
class LiveSide:
    """What became of the live message; ``document_hash`` is empty when its document
    was not kept (nothing to do, or purged)."""

    state: str
    code: str = ""
    document_hash: str = ""


def compare(shadow: ShadowSide, live: LiveSide | None) -> tuple[str, str]:
    """Verdict and difference.

    That one side changed records and the other found nothing to do is no difference:
    whoever comes second finds the work done. What counts is whether both succeed and
    understood the message alike.

    :return: ``waiting`` while the live flow has not ended, ``alone`` when there is
        none, ``same``, or ``differs`` with ``outcome``, ``cause`` or ``document``
    """
    if live is None:
        return "alone", ""
    if live.state not in SUCCEEDED | FAILED:
        return "waiting", ""
    failed = shadow.outcome == "failed"
    if failed != (live.state in FAILED):
        return "differs", "outcome"
    if failed:
        return ("same", "") if shadow.code == live.code else ("differs", "cause")
    hashes = shadow.document_hash, live.document_hash
    if all(hashes) and len(set(hashes)) > 1:
        return "differs", "document"
    return "same", ""
