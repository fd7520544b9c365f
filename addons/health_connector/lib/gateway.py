"""The gateway: one small process that takes messages in, beside Odoo.

Its *parts* are doors (HTTP here, others by addons). All store through one group commit,
by the core's accept. Loads no registry: it reads settings and writes messages with SQL,
and goes on while Odoo restarts or upgrades. Several gateways may run on one database,
on one machine or on several: they share nothing but what PostgreSQL holds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import psycopg2

from .accept import Channel, Incoming, accept
from .committer import Committer, Throttled
from .fan_out import drains, is_routed
from .inbound_rate import Allowance, find_rates, reserve
from .keyring import Keyring, KeyringError
from .limiter import Rate
from .pg_store import PgStore
from .prepared import PreparingConnection
from .wake import CRON_CHANNEL, IN, Throttle, overdue, wake

_logger = logging.getLogger(__name__)

#: seconds between wake-ups for the same overdue drain
SWEEP = 5.0

_ENDED = """
SELECT id, state, error_class FROM health_message
 WHERE id = ANY(%s)
   AND state IN ('done', 'ignored', 'reverted', 'parked', 'cancelled')
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the process is started with.

    :param connect: psycopg2 arguments of the database
    :param keyring: path of the key ring
    :param patience: seconds for which a message waits for a lost database
    :param refresh: seconds after which settings are read again
    """

    connect: Mapping[str, Any]
    keyring: str | None
    patience: float = 3.0
    refresh: float = 3.0


class Part(Protocol):
    """A door of the process. All but ``read_settings`` is called on the loop."""

    def read_settings(self, cr: Any, core: GatewayCore) -> Any:
        """The settings of all interfaces behind this door. Called by the writer's
        thread; must be quick."""

    async def start(self, committer: Committer) -> None: ...

    async def publish(self, settings: Any) -> None:
        """Go by what :meth:`read_settings` found; called every few seconds."""

    async def stop(self) -> None:
        """Take no more, have everything answered that is in work."""


def run(options: Options, parts: Sequence[Part]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    :raises KeyringError: without a key ring nothing can be accepted
    """
    core = GatewayCore(options, parts)
    # what is loaded by now stays: the collector need not look at it ever again
    gc.collect()
    gc.freeze()
    return asyncio.run(serve(options, core, parts, _stop_signal))


async def serve(
    options: Options,
    core: GatewayCore,
    parts: Sequence[Part],
    stop_signal: Callable[[], asyncio.Event],
) -> int:
    loop = asyncio.get_running_loop()
    store = PgStore(
        lambda: connect(options.connect), core, options.patience, options.refresh
    )
    committer = Committer(store, loop)
    core.publish = lambda part, settings: loop.call_soon_threadsafe(
        lambda: loop.create_task(part.publish(settings))
    )
    stopped = stop_signal()
    for part in parts:
        await part.start(committer)
    committer.start()
    await stopped.wait()
    _logger.info("stopping")
    await asyncio.gather(*(part.stop() for part in parts))
    await committer.stop()
    core.close()
    _logger.info("stopped")
    return 0


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


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


class GatewayCore:
    """The core's functions over SQL, for :class:`PgStore`. Lives on its thread.

    :ivar publish: called with a part and what it read
    :ivar allowance: what is known of the inbound limits; its ``wait`` may be asked by
        any thread
    """

    def __init__(self, options: Options, parts: Sequence[Part] = ()) -> None:
        self.publish: Callable[[Part, Any], Any] = lambda part, settings: None
        self._options = options
        self._parts = parts
        self.keyring = Keyring.load(options.keyring)
        self._keyring_stamp = self._stamp()
        self.allowance = Allowance()
        self._rates: dict[int, Rate] = {}
        self._throttle = Throttle()
        self._sweeps = Throttle(SWEEP)
        self._fed: set[tuple[str, int]] = set()
        self._cron: Any = None

    def accept(self, cr: Any, units: Sequence[Incoming]) -> Sequence[Any]:
        """Receipts in the order of the units; :class:`Throttled` for those that came
        too fast."""
        if not self._rates:
            return self._accept(cr, units)
        admitted, results = self._admit(cr, units)
        receipts = iter(self._accept(cr, admitted) if admitted else ())
        return [next(receipts) if each is None else each for each in results]

    def _admit(self, cr: Any, units: Sequence[Incoming]) -> tuple[list, list]:
        """Those that may come in, and for every unit None or why not."""
        counts = Counter(unit.channel.backend_id for unit in units)
        room = {
            backend_id: self.allowance.take(
                backend_id,
                self._rates[backend_id],
                count,
                partial(reserve, cr, backend_id, self._rates[backend_id]),
            )
            for backend_id, count in counts.items()
            if backend_id in self._rates
        }
        admitted, results = [], []
        for unit in units:
            backend_id = unit.channel.backend_id
            if room.get(backend_id, 1) > 0:
                admitted.append(unit)
                results.append(None)
            else:
                results.append(Throttled(self.allowance.wait(backend_id)))
            if backend_id in room:
                room[backend_id] -= 1
        return admitted, results

    def _accept(self, cr: Any, units: Sequence[Incoming]) -> Sequence[Any]:
        """Statements are transactions of their own, unless a unit has routes: what it
        feeds must be there with it or not at all."""
        if not is_routed(units):
            return accept(cr, self.keyring, units)
        cr.execute("BEGIN")
        try:
            receipts = accept(cr, self.keyring, units)
            cr.execute("COMMIT")
        except BaseException:
            if not cr.connection.closed:
                cr.execute("ROLLBACK")
            raise
        self._fed |= drains(units)
        return receipts

    def wake(self, cr: Any, channels: Iterable[Channel]) -> None:
        """Ask for a drain of the backends of what was accepted, and committed, and of
        those that routes have fed."""
        fed = {(IN, channel.backend_id) for channel in channels} | self._fed
        self._fed = set()
        due = self._throttle.due(fed)
        asked = [wake(cr, [backend], direction) for direction, backend in due]
        if any(asked):
            self._throttle.forget(due)
            # the cron worker must see the trigger when it is told of it
            cr.connection.commit()
            self._notify(cr.connection.info.dbname)

    def outcomes(self, cr: Any, message_ids: Sequence[int]) -> dict[int, tuple]:
        """(state, error class) of the messages whose processing has ended."""
        cr.execute(_ENDED, [list(message_ids)])
        return {
            message_id: (state, error_class)
            for message_id, state, error_class in cr.fetchall()
        }

    def refresh(self, cr: Any) -> None:
        """Have every part read its settings; take a changed key ring."""
        self._reload_keyring()
        self._rates = find_rates(cr)
        for part in self._parts:
            self.publish(part, part.read_settings(cr, self))
        self._sweep(cr)

    def _sweep(self, cr: Any) -> None:
        """Wake drains that ought to work and do not. An idle Odoo would see it within
        a minute; not for every few seconds for one that has no worker free."""
        due = self._sweeps.due(overdue(cr))
        if any([wake(cr, [backend], direction) for direction, backend in due]):
            cr.connection.commit()
            self._notify(cr.connection.info.dbname)

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
            self.keyring = Keyring.load(self._options.keyring)
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
