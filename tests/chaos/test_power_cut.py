"""PostgreSQL stops at once in the middle of a burst, again and again: what was said yes
to at full speed is there afterwards (G1). Few of a kill test's messages are young when
it crashes; here hundreds are."""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import closing, suppress

import pytest
from chaos.doors import Door, is_positive
from chaos.nemesis import Nemesis, owns_postgres, setup
from chaos.plan import Order, oru, place_orders
from live import drained, query, wait_for

CONNECTIONS, CUTS = 12, 3


class Burst:
    """Senders that wait for each answer and for nothing else."""

    def __init__(self, orders: list[Order]) -> None:
        self._orders = orders
        self._over = threading.Event()
        self._door = Door("mllp", int(os.environ["HEALTH_MLLP_PORT"]))
        self.acked: list[str] = []

    def __enter__(self) -> Burst:
        self._threads = [
            threading.Thread(target=self._send, args=(order,)) for order in self._orders
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, order: Order) -> None:
        mark, number = uuid.uuid4().hex[:6], 0
        while not self._over.is_set():
            with suppress(OSError), closing(self._door.connect(10)) as line:
                while not self._over.is_set():
                    number += 1
                    key = f"{order.number}-{mark}-{number}"
                    patient = oru.patient(order.patient)
                    raw = oru.Oru(key, order.number, patient).render()
                    line.sendall(self._door.wire(raw))
                    code = self._door.code(self._door.read(line, 10), key)
                    if not is_positive(code):
                        break
                    self.acked.append(key)


def test_a_power_cut_takes_nothing_that_was_acknowledged() -> None:
    if not owns_postgres():
        pytest.fail("the PG* variables name a server that is not this checkout's own")
    orders = place_orders(CONNECTIONS, f"P{uuid.uuid4().hex[:6].upper()}")
    nemesis = Nemesis()
    acked: list[str] = []
    try:
        for _cut in range(CUTS):
            with Burst(orders) as burst:
                wait_for(lambda burst=burst: len(burst.acked) > 300, 30)
                setup("postgres.sh", "crash")
                time.sleep(0.2)  # answers that are on their way
            acked += burst.acked
            nemesis.heal()
            wait_for(lambda: query("SELECT 1"), 30)
    finally:
        nemesis.heal()
    rows = query(
        "SELECT external_ref FROM health_message WHERE external_ref = ANY(%s)", acked
    )
    assert set(acked) - {row[0] for row in rows} == set()
    wait_for(drained, 150)
