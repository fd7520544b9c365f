"""The MLLP listener as a process: settings from the database, store in PostgreSQL.

Wires the pure parts of ``lib`` to the core's accept. Loads no registry: it reads
interfaces and writes messages with SQL, and goes on while Odoo restarts or upgrades.
Run it by ``odoo health_mllp -c odoo.conf -d database`` (see ``cli/health_mllp.py``).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

import psycopg2

from odoo.addons.health_connector.lib.accept import Channel, Incoming, accept
from odoo.addons.health_connector.lib.keyring import Keyring, KeyringError
from odoo.addons.health_connector.lib.wake import CRON_CHANNEL, Throttle, wake

from .lib.ack import ERROR, Problem
from .lib.connection import Limits
from .lib.door import Door, Flow
from .lib.mllp_server import MllpServer
from .lib.pg_store import PgStore
from .lib.prepared import PreparingConnection

_logger = logging.getLogger(__name__)

#: the port that IANA gave to HL7; the one that an environment may move
STANDARD_PORT = 2575

_FLOWS = """
SELECT i.mllp_port AS port, i.id, i.backend_id, i.company_id, i.priority, i.state,
       i.message_types, i.order_key_source, i.dedupe_source, i.charset, i.max_size,
       i.ack_mode, i.ack_seconds, i.outage_answer,
       b.environment = 'production' AS production
  FROM health_interface i JOIN health_backend b ON b.id = i.backend_id
 WHERE i.transport = 'mllp' AND i.direction = 'in' AND i.codec = 'hl7v2'
   AND i.state IN ('live', 'suspended') AND i.active AND b.active
   AND i.mllp_port BETWEEN 1 AND 65535
 ORDER BY i.id
"""

_ENDED = """
SELECT id, state, error_class FROM health_message
 WHERE id = ANY(%s)
   AND state IN ('done', 'ignored', 'reverted', 'parked', 'cancelled')
"""

_CONDITION_OF_CLASS = {"contract": 102, "mapping": 204, "conflict": 205}
_HELD = "Stored, and held for the staff of the receiver"


@dataclass(frozen=True, slots=True)
class Options:
    """What the process is started with.

    :param connect: psycopg2 arguments of the database
    :param ports: {port of an interface: port to listen on instead}
    """

    connect: Mapping[str, Any]
    keyring: str
    host: str = "127.0.0.1"
    ports: Mapping[int, int] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    ssl: SSLContext | None = None
    patience: float = 3.0


def run(options: Options) -> int:
    """Listen until SIGTERM or SIGINT; returns the exit code.

    :raises KeyringError: without a key ring nothing can be accepted
    """
    # what is loaded by now stays: the collector need not look at it ever again
    gc.collect()
    gc.freeze()
    return asyncio.run(_serve(options))


async def _serve(options: Options) -> int:
    loop = asyncio.get_running_loop()
    core = HealthCore(options)
    store = PgStore(lambda: connect(options.connect), core, options.patience)
    server = MllpServer(store, options.limits, options.host, options.ssl)
    core.publish = lambda doors: loop.call_soon_threadsafe(
        lambda: loop.create_task(server.open(doors))
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await server.start()
    await stopped.wait()
    _logger.info("stopping")
    await server.stop()
    core.close()
    _logger.info("stopped")
    return 0


def connect(arguments: Mapping[str, Any]) -> Any:
    """A connection whose commits last, and that never hangs for long."""
    connection = psycopg2.connect(
        **{
            "connection_factory": PreparingConnection,
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            **arguments,
        }
    )
    connection.autocommit = True
    with connection.cursor() as cr:
        cr.execute("SET default_transaction_isolation = 'read committed'")
        cr.execute("SET statement_timeout = '30s'")
        cr.execute("SET lock_timeout = '5s'")
        cr.execute("SHOW synchronous_commit")
        # an acknowledged message must survive a crash of the server
        if cr.fetchone()[0] == "off":
            cr.execute("SET synchronous_commit = on")
    return connection


class HealthCore:
    """The core's functions over SQL, for :class:`PgStore`. Lives on its thread."""

    def __init__(self, options: Options) -> None:
        self.publish: Callable[[dict[int, Door]], Any] = lambda doors: None
        self._options = options
        self._keyring = Keyring.load(options.keyring)
        self._keyring_stamp = self._stamp()
        self._rows: list[tuple] | None = None
        self._doors: dict[int, Door] = {}
        self._throttle = Throttle()
        self._cron: Any = None

    def accept(self, cr: Any, units: Sequence[Incoming]) -> Sequence[Any]:
        return accept(cr, self._keyring, units)

    def wake(self, cr: Any, channels: Iterable[Channel]) -> None:
        """Ask for a drain of the backends of what was accepted, and committed."""
        due = self._throttle.due(channel.backend_id for channel in channels)
        if due and wake(cr, due):
            self._throttle.forget(due)
            # the cron worker must see the trigger when it is told of it
            cr.connection.commit()
            self._notify(cr.connection.info.dbname)

    def outcomes(self, cr: Any, message_ids: Sequence[int]) -> dict[int, Any]:
        """Messages whose processing has ended: None for success, or the problem."""
        cr.execute(_ENDED, [list(message_ids)])
        return {
            message_id: _problem(state, error_class)
            for message_id, state, error_class in cr.fetchall()
        }

    def refresh(self, cr: Any) -> None:
        """Publish the doors of all live interfaces; take a changed key ring."""
        self._reload_keyring()
        cr.execute(_FLOWS)
        rows = cr.fetchall()
        if rows != self._rows:
            names = [column.name for column in cr.description]
            settings = [dict(zip(names, row, strict=True)) for row in rows]
            self._doors = doors_of(settings, self._options.ports)
            self._rows = rows
        # published again even so: a port that was taken may be free by now
        self.publish(self._doors)

    def close(self) -> None:
        if self._cron is not None:
            self._cron.close()

    # -- key ring -------------------------------------------------------------------

    def _stamp(self) -> tuple | None:
        try:
            stat = os.stat(self._options.keyring)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size

    def _reload_keyring(self) -> None:
        stamp = self._stamp()
        if stamp == self._keyring_stamp:
            return
        self._keyring_stamp = stamp
        try:
            self._keyring = Keyring.load(self._options.keyring)
            _logger.info("the key ring was read again")
        except KeyringError as error:
            _logger.error("the key ring in memory stays in use: %s", error)

    # -- waking ---------------------------------------------------------------------

    def _notify(self, dbname: str) -> None:
        """Tell Odoo's cron workers. A lost notice costs latency, not the message."""
        try:
            if self._cron is None or self._cron.closed:
                arguments = dict(self._options.connect, database="postgres")
                self._cron = psycopg2.connect(connect_timeout=2, **arguments)
                self._cron.autocommit = True
            with self._cron.cursor() as cr:
                cr.execute("SELECT pg_notify(%s, %s)", [CRON_CHANNEL, dbname])
        except psycopg2.Error as error:
            _logger.warning("waking the drain failed: %s", type(error).__name__)


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
    channel = Channel(row["id"], row["backend_id"], row["company_id"], row["priority"])
    return Flow(
        channel=channel,
        message_types=frozenset(kind.strip() for kind in kinds if kind.strip()),
        order_key_source=row["order_key_source"] or "",
        dedupe_source=row["dedupe_source"] or "",
        charset=row["charset"] or "",
        max_size=row["max_size"],
        production=row["production"],
        open=row["state"] == "live",
        answer_after=row["ack_mode"] or "commit",
        answer_seconds=row["ack_seconds"] or 0.0,
        outage=row["outage_answer"] or "answer",
    )


def _problem(state: str, error_class: str | None) -> Problem | None:
    """What to tell a sender that waited; filtered messages were accepted."""
    if state not in ("parked", "cancelled"):
        return None
    return Problem(_CONDITION_OF_CLASS.get(error_class or "", 207), ERROR, hint=_HELD)
