"""Routing: which further interfaces an accepted message feeds, and how.

Decided once, at the door, by rules that are data, and frozen then: the copies are rows
that are stored together with the message. Pure functions over what the door can read;
the rules come from the entry interface's ``route_table`` (JSON), which the model keeps
(``models/health_route.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .accept import Channel, Target
from .states import LIVE, SHADOW

EQUALS, IN, EXISTS, MISSING = "equals", "in", "exists", "missing"

#: from a source in the codec's key notation to what stands there; empty for nothing
Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one field. ``values`` has one entry for ``equals``."""

    source: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, read: Read) -> bool:
        found = read(self.source)
        if self.operator == EXISTS:
            return bool(found)
        if self.operator == MISSING:
            return not found
        return found in self.values


@dataclass(frozen=True, slots=True)
class Route:
    """One way a message may go.

    :param own: it leads to the entry interface itself, and says how that takes part
    :param clinic_source: where the clinic's code stands; empty when all clinics agree
    :param clinic_modes: mode by clinic code in capitals; ``mode`` is for all others
    :param order_key_source: of the target; empty to keep the entry's order key
    :param direction: of the target; to an outbound one there is no shadow: it would be
        sent
    """

    id: int
    channel: Channel
    own: bool = False
    mode: str = LIVE
    conditions: tuple[Condition, ...] = ()
    clinic_source: str = ""
    clinic_modes: Mapping[str, str] = field(default_factory=dict)
    order_key_source: str = ""
    direction: str = "in"

    def mode_for(self, read: Read) -> str:
        """The mode of the clinic that the message is about; its code in any case."""
        if not self.clinic_source:
            return self.mode
        code = read(self.clinic_source).strip().upper()
        return self.clinic_modes.get(code, self.mode)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a message goes.

    :param own: mode of the entry interface
    :param targets: the copies to store beside it
    """

    own: str = LIVE
    targets: tuple[Target, ...] = ()


STRAIGHT = Decision()


def decide(routes: Iterable[Route], read: Read) -> Decision:
    """Apply the routes in their order; of several to one interface the first that
    holds decides.

    :param read: reads a field of this message; called as often as routes need it
    :raises Exception: whatever ``read`` raises for a message it cannot read
    """
    own, targets, seen = LIVE, [], set()
    for route in routes:
        if route.channel.interface_id in seen:
            continue
        if not all(condition.holds(read) for condition in route.conditions):
            continue
        seen.add(route.channel.interface_id)
        mode = route.mode_for(read)
        if route.own:
            own = mode
        elif mode == LIVE or mode == SHADOW and route.direction == "in":
            targets.append(_target(route, mode, read))
    return Decision(own, tuple(targets)) if seen else STRAIGHT


def _target(route: Route, mode: str, read: Read) -> Target:
    source = route.order_key_source
    return Target(
        channel=route.channel,
        route_id=route.id,
        shadow=mode == SHADOW,
        order_key=read(source) if source else None,
        direction=route.direction,
    )


def keys(table: Iterable[Mapping[str, Any]] | None, read: Read) -> dict[str, Any]:
    """What routing adds to the fields of ``Incoming``; nothing without a table.

    :param table: ``route_table`` of the entry interface
    """
    if not table:
        return {}
    decision = decide(load(table), read)
    return {"targets": decision.targets, "mode": decision.own}


# -- the table on the entry interface ------------------------------------------------


def dump(route: Route) -> dict[str, Any]:
    """A route as JSON."""
    channel = route.channel
    return {
        "id": route.id,
        "channel": [
            channel.interface_id,
            channel.backend_id,
            channel.company_id,
            channel.priority,
        ],
        "own": route.own,
        "mode": route.mode,
        "conditions": [
            [each.source, each.operator, sorted(each.values)]
            for each in route.conditions
        ],
        "clinic_source": route.clinic_source,
        "clinic_modes": dict(route.clinic_modes),
        "order_key_source": route.order_key_source,
        "direction": route.direction,
    }


def load(table: Iterable[Mapping[str, Any]] | None) -> tuple[Route, ...]:
    """Routes from the JSON that :func:`dump` made; None is no routes."""
    return tuple(
        Route(
            id=row["id"],
            channel=Channel(*row["channel"]),
            own=row["own"],
            mode=row["mode"],
            conditions=tuple(
                Condition(source, operator, frozenset(values))
                for source, operator, values in row["conditions"]
            ),
            clinic_source=row["clinic_source"],
            clinic_modes=row["clinic_modes"],
            order_key_source=row["order_key_source"],
            direction=row["direction"],
        )
        for row in table or ()
    )
