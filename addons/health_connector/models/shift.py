"""The loop of one drain. Plain Python, no model."""

import math
import time

from ..lib.claiming import BATCH

#: seconds a promise is extended by; see lib/wake.py
PROMISE = 2.0
#: seconds between looks at an empty queue while the promise lasts
POLL = 0.02
#: seconds after which a batch gives back what it has not come to (a slow handler)
SLICE = 2.0
#: seconds between calls for help
HELP = 1.0
_SMALLEST = 10


class Shift:
    """One drain at its slot, from first look to last.

    :param keeps_promise: it is the main drain: it looks on for :data:`PROMISE` seconds
        after its last message, and calls for help while its claims come back full
    """

    def __init__(self, drain, backend, owner, keeps_promise) -> None:
        self._drain = drain
        self._slots = drain.env["health.drain.slot"]
        self._backend = backend
        self._owner = owner
        self._keeps_promise = keeps_promise
        self._limit = BATCH
        self._called = -math.inf

    def work(self, budget, turn) -> bool:
        """Drain until nothing is left, or until the time is over.

        :param budget: seconds
        :param turn: seconds after which room is made when others wait
        :return: True when work may be left
        """
        started = time.monotonic()
        until, claimed = 0.0, 1
        while (looked := time.monotonic()) < started + budget:
            if claimed and until - looked < PROMISE / 2:
                if not self._goes_on(looked - started >= turn):
                    break
                until = looked + PROMISE
            # after an empty look one cheap question before the next whole one
            is_due = claimed or self._drain._is_due(self._backend)
            claimed, is_full = self._slice(looked) if is_due else (0, False)
            if is_full:
                self._call_for_help(looked)
            if not claimed:
                if not self._keeps_promise or looked >= until:
                    return False
                time.sleep(POLL)
        if self._keeps_promise:
            self._drain._promise(self._backend, 0.0)
        return True

    def _goes_on(self, had_turn) -> bool:
        """Now and then: hold the slot on and promise; or make room."""
        if self._slots._renew(self._backend, self._owner) is None:
            return False
        if had_turn and self._drain._others_wait(self._backend):
            return False
        if self._keeps_promise:
            self._drain._promise(self._backend, PROMISE)
        return True

    def _call_for_help(self, now) -> None:
        """There is more than one batch: at once, then now and then."""
        if self._keeps_promise and now - self._called >= HELP:
            self._called = now
            self._drain._call_for_help(self._backend)

    def _slice(self, looked) -> tuple[int, bool]:
        """One batch; smaller ones while handlers are slow.

        :return: how many were claimed, and whether there may be more
        """
        limit = self._limit
        claimed = self._drain._drain_slice(self._backend, self._owner, limit)
        slow = time.monotonic() - looked > SLICE
        self._limit = max(_SMALLEST, limit // 2) if slow else min(BATCH, limit * 2)
        return claimed, claimed >= limit
