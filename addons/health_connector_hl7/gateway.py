"""What this addon brings into the gateway process, which loads no models: the MLLP
listener, and reading HL7 v2 for the HTTP door."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ssl import SSLContext
from typing import Any

from odoo.addons.health_connector.lib.accept import Channel, Incoming
from odoo.addons.health_connector.lib.route import keys as route_keys
from odoo.addons.health_connector.lib.urgency import words

from .lib.ack import ERROR, Problem
from .lib.connection import Limits
from .lib.door import Door, Flow
from .lib.mllp_server import MllpServer
from .lib.peek import peek_hl7v2, reader_hl7v2

#: codecs by name
PEEKS = {"hl7v2": peek_hl7v2}
#: of codecs in which single fields can be read at the door, for routes
READERS = {"hl7v2": reader_hl7v2}

#: the port that IANA gave to HL7; the one that an environment may move
STANDARD_PORT = 2575

_FLOWS = """
SELECT i.mllp_port AS port, i.id, i.backend_id, i.company_id, i.priority, i.state,
       i.message_types, i.order_key_source, i.dedupe_source, i.charset, i.max_size,
       i.urgent_source, i.urgent_values,
       i.ack_mode, i.ack_seconds, i.outage_answer, i.route_table,
       b.environment = 'production' AS production
  FROM health_interface i JOIN health_backend b ON b.id = i.backend_id
 WHERE i.transport = 'mllp' AND i.direction = 'in' AND i.codec = 'hl7v2'
   AND i.state IN ('live', 'suspended') AND i.active AND b.active
   AND i.mllp_port BETWEEN 1 AND 65535
 ORDER BY i.id
"""

_CONDITION_OF_CLASS = {"contract": 102, "mapping": 204, "conflict": 205}
_HELD = "Stored, and held for the staff of the receiver"


def add_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("MLLP")
    group.add_argument(
        "--mllp-port",
        type=int,
        default=os.environ.get("HEALTH_MLLP_PORT") or None,
        help=f"serve interfaces of the standard port {STANDARD_PORT} on this one",
    )
    group.add_argument("--mllp-connections", type=int, default=500)
    group.add_argument("--mllp-idle", type=float, default=3600, help="seconds")


def make_part(arguments: Namespace, ssl: SSLContext | None) -> MllpPart:
    limits = Limits(connections=arguments.mllp_connections, idle=arguments.mllp_idle)
    port = arguments.mllp_port
    ports = {STANDARD_PORT: int(port)} if port else {}
    return MllpPart(ports, arguments.host, ssl, limits)


class MllpPart:
    """Serves the ports of all live MLLP interfaces; see the core's ``gateway.Part``.

    :param ports: {port of an interface: port to listen on instead}
    """

    def __init__(
        self,
        ports: Mapping[int, int] | None = None,
        host: str = "127.0.0.1",
        ssl: SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._ports = ports or {}
        self._host = host
        self._ssl = ssl
        self._limits = limits
        self._rows: list[tuple] | None = None
        self._doors: dict[int, Door] = {}

    def read_settings(self, cr: Any, core: Any) -> dict[int, Door]:
        """The doors of all live interfaces by port; made anew when settings changed."""
        cr.execute(_FLOWS)
        rows = cr.fetchall()
        if rows != self._rows:
            names = [column.name for column in cr.description]
            settings = [dict(zip(names, row, strict=True)) for row in rows]
            self._doors = doors_of(settings, self._ports)
            self._rows = rows
        return self._doors

    async def start(self, committer: Any) -> None:
        self._server = MllpServer(committer, self._limits, self._host, self._ssl)
        committer.settled = self._settled
        await self._server.start()

    async def publish(self, doors: dict[int, Door]) -> None:
        # unchanged ones too: a port that was taken may be free by now
        await self._server.open(doors)

    async def stop(self) -> None:
        await self._server.stop()

    def _settled(self, ended: Mapping[int, tuple]) -> None:
        self._server.settled({key: problem_of(*how) for key, how in ended.items()})


def doors_of(
    settings: Iterable[Mapping[str, Any]], ports: Mapping[int, int] | None = None
) -> dict[int, Door]:
    """A door for each port that has a live interface.

    A suspended interface keeps its place behind the door, so that its messages are
    put off and not rejected for good.
    """
    flows: dict[int, list[Flow]] = {}
    for row in settings:
        port = (ports or {}).get(row["port"], row["port"])
        flows.setdefault(port, []).append(flow_of(row))
    return {
        port: Door(behind, Incoming)
        for port, behind in flows.items()
        if any(flow.open for flow in behind)
    }


def flow_of(row: Mapping[str, Any]) -> Flow:
    """An interface's settings as the door needs them."""
    kinds = (row["message_types"] or "").split(",")
    channel = Channel(
        row["id"],
        row["backend_id"],
        row["company_id"],
        row["priority"],
        words(row["urgent_values"]),
    )
    return Flow(
        channel=channel,
        message_types=frozenset(kind.strip() for kind in kinds if kind.strip()),
        order_key_source=row["order_key_source"] or "",
        dedupe_source=row["dedupe_source"] or "",
        urgent_source=row["urgent_source"] or "",
        charset=row["charset"] or "",
        max_size=row["max_size"],
        production=row["production"],
        open=row["state"] == "live",
        answer_after=row["ack_mode"] or "commit",
        answer_seconds=row["ack_seconds"] or 0.0,
        outage=row["outage_answer"] or "answer",
        ways=_ways(row["route_table"]),
    )


def _ways(table: Any) -> Callable[[Callable[[str], str]], dict[str, Any]] | None:
    """The routes of an interface, as its flow needs them."""
    return partial(route_keys, table) if table else None


def problem_of(state: str, error_class: str | None) -> Problem | None:
    """What to tell a sender that waited for the processing of its message; None for
    success. Filtered messages were accepted."""
    if state not in ("parked", "cancelled"):
        return None
    return Problem(_CONDITION_OF_CLASS.get(error_class or "", 207), ERROR, hint=_HELD)
