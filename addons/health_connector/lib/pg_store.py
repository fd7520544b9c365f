"""The gateway's store: PostgreSQL through the core's accept.

Two connections. The *writing* one commits without waiting for the disk
(``synchronous_commit = off``), which makes the rows visible and lets the next batch
begin. The *flushing* one then commits an empty record and does wait: the log is
sequential, so when that record is on disk (and on the synchronous standbys, where
there are any), so is everything committed before. Answers leave after that. A crash
in between loses messages that nobody was told to be stored.

Every statement is a transaction of its own. Accepting a batch is safe to repeat as a
whole, whatever part of it was committed: what is stored already is a duplicate then
and gets the answer it would have had. So nothing is gained by a larger transaction,
and after a lost connection the batch is simply tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import psycopg2

from .committer import NotStored, StoreDown

_logger = logging.getLogger(__name__)

#: SQLSTATE classes and codes that say "not now": connection, resources, shutdown,
#: serialization, lock and statement timeouts, read-only standby
_NOT_NOW = ("08", "53", "57", "40", "55", "25006")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

#: writes a record of its own, without which PostgreSQL would not wait for the disk
_FLUSH = "SELECT pg_logical_emit_message(true, 'health_gateway', '')"


class Core(Protocol):
    """What is stored, and how; see :class:`gateway.GatewayCore`."""

    def accept(self, cr: Any, units: Sequence[Any]) -> Sequence[Any]: ...

    def wake(self, cr: Any, channels: Iterable[Any]) -> None: ...

    def outcomes(self, cr: Any, message_ids: Sequence[int]) -> dict[int, Any]: ...

    def refresh(self, cr: Any) -> None: ...


class Link:
    """Both connections, opened together before anything is written.

    A flush speaks for what was written on the same link only: had the flushing
    connection been opened after a crash, it could not know what was lost in it.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.broken = False
        self.writing = connect()
        try:
            self.flushing = connect()
            self.cursor = self.writing.cursor()
            self.cursor.execute("SET synchronous_commit = off")
            self._flusher = self.flushing.cursor()
            self._flusher.execute(f"PREPARE health_flush AS {_FLUSH}")
        except BaseException:
            self.writing.close()
            raise

    def flush(self) -> None:
        self._flusher.execute("EXECUTE health_flush")


class PgStore:
    """See :class:`committer.Store`.

    :param connect: opens a psycopg2 connection in autocommit mode, or raises
        ``psycopg2.Error``
    :param patience: seconds for which a batch waits for a lost database to return;
        once they have passed, batches are refused at once until it is back
    :param refresh_seconds: how often settings are read
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        core: Core,
        patience: float = 3.0,
        refresh_seconds: float = 3.0,
    ) -> None:
        self._connect = connect
        self._core = core
        self._patience = patience
        self._refresh_seconds = refresh_seconds
        self._link: Link | None = None
        self._down_since = 0.0
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        self._next_refresh = 0.0
        self._accepted: list[Any] = []

    # -- committer.Store ------------------------------------------------------------

    def write(self, units: Sequence[Any]) -> tuple[list[Any], Link]:
        while True:
            try:
                return self._write(units)
            except StoreDown:
                now = self._clock()
                if self._down_since and now - self._down_since > self._patience:
                    raise
                time.sleep(max(0.0, self._next_try - now))

    def flush(self, token: Link) -> None:
        """Not tried again: after a crash a later success would say nothing."""
        try:
            token.flush()
        except psycopg2.Error as error:
            token.broken = True
            _logger.warning("what was written may be lost: %s", _name(error))
            raise StoreDown from None

    def outcomes(self, message_ids: Sequence[int]) -> dict[int, Any]:
        return self._run(lambda cr: self._core.outcomes(cr, message_ids))

    def tick(self) -> None:
        """Wake the drain for what was accepted; read the settings now and then."""
        if self._link is None and self._clock() < self._next_try:
            return
        try:
            if self._accepted:
                accepted, self._accepted = self._accepted, []
                self._run(lambda cr: self._core.wake(cr, accepted))
            if self._clock() >= self._next_refresh:
                self._next_refresh = self._clock() + self._refresh_seconds
                self._run(self._core.refresh)
        except StoreDown:
            return  # said in the log when it happened

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.writing.close()
            link.flushing.close()

    # -- storing --------------------------------------------------------------------

    def _write(self, units: Sequence[Any]) -> tuple[list[Any], Link]:
        link = self._open()
        try:
            receipts = list(self._run(lambda cr: self._core.accept(cr, units)))
            self._accepted += [unit.channel for unit in units]
        except StoreDown:
            raise
        except Exception as error:
            _logger.warning(
                "a batch of %s was refused (%s): one by one", len(units), _name(error)
            )
            receipts = [self._write_alone(unit) for unit in units]
        if self._link is not link:
            raise StoreDown  # a part of it may be lost: all of it again
        return receipts, link

    def _write_alone(self, unit: Any) -> Any:
        """One poisoned message must not fail its neighbours."""
        try:
            [receipt] = self._run(lambda cr: self._core.accept(cr, [unit]))
        except StoreDown:
            raise
        except Exception as error:
            _logger.error("a message could not be stored: %s", _name(error))
            return NotStored()
        self._accepted.append(unit.channel)
        return receipt

    # -- the connection -------------------------------------------------------------

    def _run(self, work: Callable[[Any], Any]) -> Any:
        """Run ``work(cursor)`` on the writing connection.

        :raises StoreDown: the database is not there, or asks to come back later;
            nobody knows then what was stored, which is no positive answer either
        """
        link = self._open()
        try:
            result = work(link.cursor)
        except psycopg2.Error as error:
            if link.writing.closed or is_not_now(error):
                self._lost(error)
                raise StoreDown from None
            raise
        if self._down_since:
            self._found()
        return result

    def _open(self) -> Link:
        if self._link is not None and self._link.broken:
            self._drop_link()
        if self._link is None:
            if self._clock() < self._next_try:
                raise StoreDown
            try:
                self._link = Link(self._connect)
            except psycopg2.Error as error:
                self._lost(error)
                raise StoreDown from None
        return self._link

    def _lost(self, error: psycopg2.Error) -> None:
        self._drop_link()
        now = self._clock()
        if not self._down_since:
            self._down_since = now
            _logger.warning("the database is not available: %s", _name(error))
        self._next_try = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _found(self) -> None:
        seconds = self._clock() - self._down_since
        _logger.info("the database is back after %.1f s", seconds)
        self._down_since, self._pause = 0.0, FIRST_PAUSE

    def _drop_link(self) -> None:
        """Forget a link. Its flushing half is still the flusher's, which may be using
        it for what was written before; it closes when that is done with it."""
        link, self._link = self._link, None
        if link is not None and not link.writing.closed:
            link.writing.close()

    @staticmethod
    def _clock() -> float:
        return time.monotonic()


def is_not_now(error: psycopg2.Error) -> bool:
    """Whether the reason is the database and not what was asked of it."""
    code = error.pgcode
    if code is None:
        # "server closed the connection unexpectedly" comes as a bare DatabaseError
        bare = type(error) is psycopg2.DatabaseError
        lost = (psycopg2.OperationalError, psycopg2.InterfaceError)
        return bare or isinstance(error, lost)
    return code.startswith(_NOT_NOW)


def _name(error: BaseException) -> str:
    """The kind of an error; its text may quote a row and is never logged."""
    code = getattr(error, "pgcode", None) or getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
