"""Two Odoo servers drain one database together, one is killed in the middle, and
everything is done once, in order (G2, G3, G7)."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from chaos.checks import Aftermath, keep_journal, rolled_up
from chaos.doors import Door
from chaos.ledger import Entries, Ledger
from chaos.nemesis import lease_owners
from chaos.nodes import Balancer, Node
from chaos.plan import make_plan, place_orders
from live import ROOT, database, drained, wait_for

ORDERS = 500
_SLOW = """
CREATE OR REPLACE FUNCTION chaos_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER chaos_slow BEFORE UPDATE ON health_lab_order_line
   FOR EACH ROW EXECUTE FUNCTION chaos_slow();
"""


def service(action: str) -> None:
    command = [ROOT / "setup/stack", os.environ["HEALTH_STACK"], action, "odoo"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=180)


def run(sql: str) -> None:
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """Two servers, not started; the system's own rests meanwhile."""
    balancer = Balancer()
    pair = [Node(f"node-{name}", balancer.port) for name in "ab"]
    balancer.start(pair)
    service("stop")
    keep_journal()
    run(_SLOW)
    yield pair
    for node in pair:
        node.remove()
    balancer.stop()
    run("DROP FUNCTION chaos_slow CASCADE")
    service("start")
    keep_journal(False)


def send_all(units, folder) -> Entries:
    """A backlog: everything is acknowledged before anybody drains."""
    ledger = Ledger(folder / "ledger.jsonl")
    door = Door("mllp", int(os.environ["HEALTH_MLLP_PORT"]))
    with door.connect(10) as line:
        for unit in units:
            line.sendall(door.wire(unit.raw))
            assert ledger.answer(unit, door, door.read(line, 10))
    return Entries(folder / "ledger.jsonl").more()


def test_two_nodes_drain_together_and_one_is_killed(nodes, tmp_path) -> None:
    name = f"N{uuid.uuid4().hex[:6].upper()}"
    [units] = make_plan(place_orders(ORDERS, name), name, 1, 7)
    before = rolled_up()
    entries = send_all(units, tmp_path)
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_ready()
    seen: Counter = Counter()

    def both_are_at_work() -> bool:
        for pid in lease_owners():
            seen.update(node.port for node in nodes if node.has(pid))
        return len(seen) == 2

    wait_for(both_are_at_work, 60)
    nodes[0].kill()
    wait_for(drained, 150)
    assert not Aftermath(name, units, entries, before).problems()
