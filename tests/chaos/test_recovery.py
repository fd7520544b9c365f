"""How long a death costs: about the lease of what the dead worker held, not the minute
after which an idle Odoo looks around by itself."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from chaos.nemesis import Nemesis, lease_owners
from chaos.plan import oru, place_orders
from live import MllpPeer, ack_code, database, drained, query, wait_for

#: of a claimed message; see LEASE of the addon's claiming.py
LEASE = 30
#: the gateway's look around, dispatch, the first retry and a machine that is busy
AROUND = 40

_SLOW = """
CREATE OR REPLACE FUNCTION chaos_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(8); RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER chaos_slow BEFORE UPDATE ON health_lab_order_line
   FOR EACH ROW EXECUTE FUNCTION chaos_slow();
"""
_FAST = "DROP TRIGGER chaos_slow ON health_lab_order_line; DROP FUNCTION chaos_slow"


def run(sql: str) -> None:
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def slow() -> Iterator[None]:
    """Applying a result takes long enough to be met at it."""
    run(_SLOW)
    yield
    run("DROP FUNCTION IF EXISTS chaos_slow CASCADE")


def send_result() -> str:
    """One result of a new order; its control id."""
    [order] = place_orders(1, f"R{uuid.uuid4().hex[:8].upper()}")
    raw = oru.Oru(order.number, order.number, oru.patient(order.patient)).render()
    wait_for(drained)
    with MllpPeer() as peer:
        assert ack_code(peer.ask(raw)) == "AA"
    return order.number


def tries_when_done(key: str) -> int | None:
    """How many tries it took; None while it is not done."""
    [(state, tries)] = query(
        "SELECT state, tries FROM health_message WHERE external_ref = %s", key
    )
    return tries if state == "done" else None


def test_a_killed_drain_costs_its_lease(slow) -> None:
    key = send_result()
    [owner] = wait_for(lease_owners, 30)
    os.kill(int(owner), signal.SIGKILL)
    run(_FAST)
    wait_for(lambda: tries_when_done(key), LEASE + AROUND)
    assert tries_when_done(key) == 2
    done = query(
        """SELECT count(*) FROM health_attempt a JOIN health_message m
               ON m.id = a.message_id
            WHERE m.external_ref = %s AND a.outcome = 'done'""",
        key,
    )
    assert done == [(1,)]


def test_without_a_job_runner_the_cron_drains_soon() -> None:
    """The runner is killed as often as it comes back."""
    nemesis = Nemesis()

    def done_in_spite_of_it() -> int | None:
        for pid in nemesis.workers("WorkerJobRunner"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return tries_when_done(key)

    key = send_result()
    wait_for(done_in_spite_of_it, AROUND)
