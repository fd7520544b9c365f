"""Whatever is killed, nothing acknowledged is lost and nothing happens twice (G1–G3,
G7): a ledger outside the hub sends, a nemesis kills, and afterwards both are compared.

A run prints its seed and its ledger. ``HEALTH_SEED=…`` repeats the same traffic and
the same kills; ``HEALTH_LONG=1`` makes it 10,000 messages and 100 kills.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from chaos.checks import Aftermath, keep_journal, rolled_up
from chaos.circle import Circle
from chaos.doors import Door
from chaos.ledger import Entries
from chaos.nemesis import Nemesis, blows_due, schedule
from chaos.plan import make_plan, place_orders
from live import ROOT, bearer_key, drained, wait_for

LONG = bool(os.environ.get("HEALTH_LONG"))
ORDERS, KILLS, SECONDS = (3334, 100, 480) if LONG else (334, 10, 60)
SENDERS = 6
SEED = int(os.environ.get("HEALTH_SEED") or uuid.uuid4().int % 1_000_000)
#: seconds within which the traffic must be through and everything drained; a call that
#: fails five times in a row waits for minutes by the curve of its policy
PATIENCE = SECONDS * 2 + 120
RECOVERY = 300 if LONG else 150


def tell(text: str) -> None:
    """For whoever has to repeat a failed run: pytest shows it then."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


@pytest.fixture
def folder() -> Path:
    path = Path(os.environ["HEALTH_LOG_DIR"], f"kill-{SEED}-{uuid.uuid4().hex[:6]}")
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def journal():
    keep_journal()
    yield
    keep_journal(False)


def doors() -> dict[str, list[dict]]:
    """All doors of the flow; those of one kind stand for each other."""
    key = bearer_key("northlab")
    http = {
        "kind": "http",
        "path": "/health/in/northlab-oru-http",
        "headers": (
            f"Authorization: Bearer {key}",
            f"X-Odoo-Database: {os.environ['HEALTH_DB']}",
        ),
    }
    ports = ports_of_http()
    wait_for(lambda: all(opens(port, http) for port in ports), 20)
    return {
        "mllp": [{"kind": "mllp", "port": int(os.environ["HEALTH_MLLP_PORT"])}],
        "http": [{**http, "port": port} for port in ports],
    }


def ports_of_http() -> list[int]:
    """Of the Odoo controller and of the gateway."""
    ports = [os.environ["HEALTH_HTTP_PORT"], os.environ.get("HEALTH_GATEWAY_PORT")]
    return [int(port) for port in ports if port]


def opens(port: int, http: dict) -> bool:
    """Whether a door knows the new key; the gateway reads keys every few seconds."""
    door = Door(**{**http, "port": port})
    with door.connect(10) as line:
        line.sendall(door.wire(b""))
        return door.code(door.read(line, 10), "") not in ("", "401")


def start_ledger(folder: Path, queues) -> subprocess.Popen:
    plan = {
        "seed": SEED,
        "pace": SECONDS * SENDERS / (3 * ORDERS),
        "doors": {
            kind: [{"headers": (), **door} for door in each]
            for kind, each in doors().items()
        },
        "queues": [[unit.as_json() for unit in units] for units in queues],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "plan.json").chmod(0o600)
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "addons")])
    return subprocess.Popen(
        [sys.executable, "-m", "chaos.ledger", str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def rage(nemesis: Nemesis, ledger: subprocess.Popen, entries: Entries, total: int):
    """Kill at the planned points of the traffic until it is through."""
    blows, deadline = schedule(KILLS, SEED), time.monotonic() + PATIENCE
    while ledger.poll() is None:
        assert time.monotonic() < deadline, "the traffic does not get through"
        for blow in blows_due(blows, len(entries.more().acked) / total):
            tell(nemesis.strike(blow))
        nemesis.supervise()
        time.sleep(0.05)
    for blow in list(blows_due(blows, 1.0)):
        tell(nemesis.strike(blow))
    assert ledger.returncode == 0


def test_kills_lose_nothing_and_double_nothing(folder: Path, journal) -> None:
    run = f"K{uuid.uuid4().hex[:6].upper()}"
    tell(f"seed {SEED}, ledger {folder}/ledger.jsonl")
    queues = make_plan(place_orders(ORDERS, run), run, SENDERS, SEED)
    units = [unit for units in queues for unit in units]
    circle = Circle(run, folder, SEED)
    before, entries = rolled_up(), Entries(folder / "ledger.jsonl")
    nemesis, ledger = Nemesis(), start_ledger(folder, queues)
    try:
        rage(nemesis, ledger, entries, len(units))
    finally:
        ledger.kill()
        nemesis.heal()
    healed = time.monotonic()
    wait_for(lambda: drained() and circle.settled(), RECOVERY)
    tell(
        f"{entries.more().tries} tries of {len(units)} messages, {KILLS} kills; "
        f"drained {time.monotonic() - healed:.0f} s after the last was healed"
    )
    circle.end()
    aftermath = Aftermath(run, units, entries, before)
    assert not aftermath.problems()
    assert not circle.problems(units, aftermath.changes())
