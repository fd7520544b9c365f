"""Which messages go before the others, within the rules of order."""

from __future__ import annotations

from functools import lru_cache

#: the priority of an urgent message; lower numbers are applied first
URGENT = 1
#: HL7 table 0485 and what preceded it: stat, and as soon as possible
DEFAULT_VALUES = "S,STAT,A"


def priority_of(said: str, urgent: frozenset[str], usual: int) -> int:
    """The priority of a message.

    :param said: what stands at its interface's urgent source; empty when nothing does
    :param urgent: what is said of an urgent message, in capitals
    :param usual: the priority of the interface; nothing goes later than that
    """
    return min(URGENT, usual) if said and said.strip().upper() in urgent else usual


@lru_cache(maxsize=256)
def words(values: str | None) -> frozenset[str]:
    """Comma separated values as a set, in capitals."""
    parts = (each.strip() for each in (values or "").upper().split(","))
    return frozenset(filter(None, parts))
