"""Handing a batch to its handler. Plain Python, no model."""

import math
import time

from .health_handler import Exchange, Outcome
from .work import DATABASE_CONFLICTS, is_database_gone

#: how many are applied together after one failed; more again while it goes well
CAREFUL = 8


class Applier:
    """Applies messages of one interface, in order, many in one savepoint.

    A savepoint and a flush for each message cost more than most effects. So a run of
    messages shares them, and effects reach the database as few statements. When one
    fails, the run is undone, those before it are applied again, and the failed one
    is the first of the next run, where its failure is final. A refusal that only the
    flush shows is found by halves.

    After a failure the rest of its order key is deferred: back in line, untouched.
    So is what a slow handler has not come to when the time is over.

    :param until: end of the time, on the clock of ``time.monotonic``
    """

    def __init__(self, env, interface, handler, until=math.inf) -> None:
        self._cr = env.cr
        self._bindings = env["health.binding"]
        self._interface = interface
        self._handler = handler
        self._stuck: set[str] = set()
        self._until = until

    def apply(self, works) -> None:
        """Give every work that was read an outcome or a failure, or defer it."""
        size = len(works)
        while works := self._unblocked(works):
            run = works[:size]
            reached = self._try(run)
            if run[0].outcome:
                works, size = works[reached:], size * 2
            elif run[0].failure:
                size = CAREFUL
            else:
                size = reached
                continue
            if self._is_late():
                self._defer(work for work in works if not work.failure)
                break

    def _is_late(self) -> bool:
        return time.monotonic() >= self._until

    @staticmethod
    def _defer(works) -> None:
        for work in works:
            work.deferred = True

    def _unblocked(self, works) -> list:
        """Those to be applied; what stands behind a failure is deferred."""
        free = []
        for work in works:
            if work.order_key in self._stuck:
                work.deferred, work.failure = True, None
            elif work.failure is None:
                free.append(work)
            elif work.order_key:
                self._stuck.add(work.order_key)
        return free

    def _try(self, run) -> int:
        """Apply a run in one savepoint.

        :return: how many have an outcome, or how long the next run may be; the first
            work has an outcome or a failure, or none when the run was undone
        """
        called = 0
        try:
            with self._cr.savepoint():
                documents = [work.document for work in run]
                known = self._handler._prefetch(self._interface, documents)
                for work in run:
                    if called and self._is_late():
                        break
                    self._call(work, known)
                    called += 1
                self._store(run[:called])
            return called
        except Exception as exc:  # every failure becomes evidence
            if isinstance(exc, DATABASE_CONFLICTS) or is_database_gone(exc):
                raise
            self._bindings._forget()
            for work in run:
                work.outcome = None
            if called == 0 or len(run) == 1:
                run[0].fail(exc)
            return called if called < len(run) else len(run) // 2

    def _call(self, work, known) -> None:
        work.step = "apply"
        started = time.perf_counter()
        exchange = Exchange(work.id, self._interface, work.accepted_at, known)
        outcome = self._handler._apply(work.document, exchange)
        if not isinstance(outcome, Outcome):
            raise TypeError("a handler returns an Outcome")
        work.outcome = outcome
        self._bindings._remember(self._interface.backend_id, exchange)
        work.spent += time.perf_counter() - started

    def _store(self, run) -> None:
        """What the run has written goes to the database; each has its part in it."""
        started = time.perf_counter()
        self._bindings._store_remembered()
        self._cr.flush()
        share = (time.perf_counter() - started) / len(run)
        for work in run:
            work.spent += share
