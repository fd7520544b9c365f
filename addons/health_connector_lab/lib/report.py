"""Read a canonical lab.result document as one statement per reported test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .status import summarise
from .tables import worst

#: HL7 table 0203; taken where a laboratory leaves the type of a number out
DEFAULT_TYPE = "MR"

Identifier = tuple[str, str, str]  # authority, type, value


@dataclass(frozen=True, slots=True)
class Statement:
    """What a message says of one ordered test.

    :param codes: the test's code and, if given, its code in another system
    :param at: UTC, naive; None when the message names no time at all
    :param flag: the gravest flag of its observations; empty when none is given
    :param observations: how many observations were reported
    :param sites: codes that may name the clinic, the most likely first
    """

    placer: str
    placer_authority: str
    filler: str
    filler_authority: str
    codes: tuple[str, ...]
    status: str | None
    at: datetime | None
    flag: str
    observations: int
    identifiers: tuple[Identifier, ...]
    sites: tuple[str, ...]


def statements(document: dict[str, Any]) -> Iterator[Statement]:
    """Every statement of a document, in the order of the message."""
    for report in document["reports"]:
        identifiers = tuple(_identifiers(report))
        places = (report.get("facility"), report.get("unit"))
        sites = (*places, document.get("receiving_facility"))
        for order in report["orders"]:
            yield _statement(
                order,
                _moment(order.get("reported_at") or document.get("sent_at")),
                identifiers,
                tuple(site for site in sites if site),
            )


def _statement(order, at, identifiers, sites) -> Statement:
    observations = order.get("observations", [])
    stated = [each["status"] for each in observations if "status" in each]
    test = order["test"]
    codes = (test["code"].strip(), test.get("alternate_code", "").strip())
    return Statement(
        placer=order.get("placer_number", "").strip(),
        placer_authority=order.get("placer_authority", ""),
        filler=order.get("filler_number", "").strip(),
        filler_authority=order.get("filler_authority", ""),
        codes=tuple(dict.fromkeys(code for code in codes if code)),
        status=summarise(order.get("status"), stated),
        at=at,
        flag=worst(each["flag"] for each in observations if "flag" in each) or "",
        observations=len(observations),
        identifiers=identifiers,
        sites=sites,
    )


def _identifiers(report) -> Iterator[Identifier]:
    """Numbers that name their authority; others could be anybody's."""
    for each in report["identifiers"]:
        if each.get("value") and each.get("system"):
            yield each["system"], each.get("type") or DEFAULT_TYPE, each["value"]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text[:-1]) if text else None
