"""Kills processes of the running system at random, and starts them again.

The same seed gives the same kills at the same points of the traffic. Only processes
of this system are touched; PostgreSQL only where it is this checkout's own.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from live import ROOT, query, wait_for

_ALIVE = re.compile(r"Worker (Worker\w+) \((\d+)\) alive")

#: what is killed, and how often compared with the others
FAULTS = {
    "drain": 5,  # the web worker that has claimed messages
    "web": 3,
    "runner": 3,
    "cron": 2,
    "gateway": 4,
    "odoo": 2,  # all of it
    "postgres": 4,
}
SERVICES = ("odoo", "gateway")
#: seconds for which a stopped service stays away
AWAY = (0.0, 2.0)


@dataclass(frozen=True, slots=True)
class Blow:
    """One kill.

    :param after: share of the traffic that is acknowledged by then
    :param away: seconds until the service is started again
    :param pick: draws one of several processes of the kind
    """

    after: float
    fault: str
    away: float
    pick: float


def schedule(count: int, seed: int) -> list[Blow]:
    """``count`` kills spread over the traffic; each kind comes up in any ten."""
    draw = random.Random(seed)
    kinds = [kind for kind in FAULTS if kind != "postgres" or owns_postgres()]
    faults: list[str] = []
    while len(faults) < count:
        extra = draw.choices(kinds, [FAULTS[kind] for kind in kinds], k=3)
        ten = [*kinds, *extra]
        faults += draw.sample(ten, len(ten))
    points = sorted(draw.uniform(0.03, 0.97) for _ in range(count))
    return [
        Blow(after, fault, draw.uniform(*AWAY), draw.random())
        for after, fault in zip(points, faults[:count], strict=True)
    ]


def owns_postgres() -> bool:
    """Whether the server is this checkout's own, which alone may be stopped."""
    folder = Path(os.environ["HEALTH_STATE"], "pg")
    return f"host={folder} " in os.environ["HEALTH_PG_DSN"] + " "


class Nemesis:
    """Deals the blows and, like any supervisor of services, starts again what ended:
    Odoo's main process ends by itself when it has to replace a worker while the
    database is away."""

    def __init__(self) -> None:
        self._starting: dict[str, subprocess.Popen] = {}
        self._away_until = dict.fromkeys(SERVICES, 0.0)
        self._log = Path(os.environ["HEALTH_LOG_DIR"], "odoo.log")
        if owns_postgres():
            _checkpoint()

    def strike(self, blow: Blow) -> str:
        """Deal one blow; tells what was hit."""
        kill = getattr(self, f"_kill_{blow.fault}")
        return f"{blow.after:.2f} {blow.fault}: {kill(blow)}"

    def supervise(self) -> None:
        """Start what is down, unless it has to stay away for a while."""
        for service in SERVICES:
            start = self._starting.get(service)
            busy = start is not None and start.poll() is None
            away = time.monotonic() < self._away_until[service]
            if not busy and not away and not _runs(service):
                command = [ROOT / "setup/stack", _stack(), "start", service]
                self._starting[service] = subprocess.Popen(
                    command, stderr=subprocess.DEVNULL, start_new_session=True
                )

    def heal(self) -> None:
        """Everything runs again. Fails when it does not."""
        self._away_until = dict.fromkeys(SERVICES, 0.0)
        for process in self._starting.values():
            process.wait(120)
        setup("postgres.sh", "start")
        # what an Odoo that ended by itself left behind may still hold its ports
        wait_for(self._all_run, 120)

    def _all_run(self) -> bool:
        for service in SERVICES:
            with suppress(AssertionError):
                setup("stack", _stack(), "start", service)
        return all(_runs(service) for service in SERVICES)

    # -- the blows ------------------------------------------------------------------

    def _kill_drain(self, blow: Blow) -> str:
        """The worker that holds a lease at this moment, when there is one soon."""
        owners: list[str] = []
        with suppress(AssertionError, psycopg2.Error):
            owners = wait_for(lease_owners, 1.0)
        workers = self.workers("WorkerHTTP")
        holders = [pid for pid in workers if str(pid) in owners]
        return _kill(holders or workers, blow.pick)

    def _kill_web(self, blow: Blow) -> str:
        return _kill(self.workers("WorkerHTTP"), blow.pick)

    def _kill_runner(self, blow: Blow) -> str:
        return _kill(self.workers("WorkerJobRunner"), blow.pick)

    def _kill_cron(self, blow: Blow) -> str:
        return _kill(self.workers("WorkerCron"), blow.pick)

    def _kill_gateway(self, blow: Blow) -> str:
        return self._away("gateway", blow.away)

    def _kill_odoo(self, blow: Blow) -> str:
        return self._away("odoo", blow.away)

    def _kill_postgres(self, blow: Blow) -> str:
        setup("postgres.sh", "crash")
        time.sleep(blow.away)
        setup("postgres.sh", "start")
        return f"stopped at once, back after {blow.away:.1f} s"

    def _away(self, service: str, seconds: float) -> str:
        """Kill a service; it is started again while the traffic goes on."""
        self._away_until[service] = time.monotonic() + seconds
        setup("stack", _stack(), "kill", service)
        return f"killed, started after {seconds:.1f} s"

    def workers(self, kind: str) -> list[int]:
        """The living processes of a kind: Odoo's log names each when it begins."""
        seen = _ALIVE.findall(self._log.read_text("utf-8", "replace"))
        return [int(pid) for name, pid in seen if name == kind and _is_ours(int(pid))]


def lease_owners() -> list[str]:
    rows = query(
        "SELECT DISTINCT split_part(lease_owner, '-', 1) FROM health_message "
        "WHERE state = 'processing'"
    )
    return [owner for (owner,) in rows]


def _kill(pids: list[int], pick: float) -> str:
    if not pids:
        return "none alive"
    pid = sorted(set(pids))[int(pick * len(set(pids)))]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return f"{pid} of {len(set(pids))}"


def _is_ours(pid: int) -> bool:
    """Whether a process runs with this system's configuration: a pid of the log may
    be another program's by now."""
    try:
        return os.environ["HEALTH_CONF"].encode() in Path(
            f"/proc/{pid}/cmdline"
        ).read_bytes().split(b"\0")
    except OSError:
        return False


def _checkpoint() -> None:
    """A database that was just cloned has sequences whose next values are not in the
    log: a crash before the first checkpoint would set them back (PostgreSQL 15)."""
    dsn = f"{os.environ['HEALTH_PG_DSN']} user=postgres"
    subprocess.run(["psql", "-qX", dsn, "-c", "CHECKPOINT"], check=True)


def _runs(service: str) -> bool:
    """Whether a service's main process lives; setup/services.sh notes which it is."""
    folder = Path(os.environ["HEALTH_STATE"], "stack", _stack())
    try:
        pid, ticks = (folder / f"{service}.pid").read_text().split()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (OSError, ValueError):
        return False
    return fields[19] == ticks and fields[0] != "Z"


def _stack() -> str:
    return os.environ["HEALTH_STACK"]


def setup(script: str, *arguments: str) -> None:
    done = subprocess.run(
        [ROOT / "setup" / script, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        # a service that is started outlives the script, and must not hold its pipes
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def blows_due(blows: list[Blow], progress: float) -> Iterator[Blow]:
    """Take those whose moment has come off the list."""
    while blows and blows[0].after <= progress:
        yield blows.pop(0)
