"""Durable accepts by MLLP ÷ single-row inserts of the same size by pgbench, both with
16 (then 64) connections and one row in flight on each, in turns on the same database
server.

Every answer counted is an AA that left after its message was on disk. The backend is
paused, so that nothing is processed meanwhile. Needs a running system: HEALTH_CONF,
HEALTH_PG_DSN, HEALTH_STATE, HEALTH_STACK.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path

from _bench import SMOKE, connect, durability, figure, ratio, say

ROOT = Path(__file__).resolve().parents[2]
LOAD = Path(__file__).with_name("_mllp_load.py")
#: connections of both sides, and the least ratio
BARS = {16: 0.40, 64: 0.60}
BYTES = 700
SECONDS = 1 if SMOKE else 5
MEMORY_BAR = 120  # MB, with 200 connections


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prepare(port: int) -> None:
    """A live MLLP interface on a port of its own, on a paused backend."""
    code = f"bench-{uuid.uuid4().hex[:8]}"
    script = f'''
backend = env["health.backend"].create(
    {{"name": "Bench", "code": "{code}", "paused_in": True,
      "pause_reason": "benchmark"}})
env["health.interface"].create(
    {{"name": "Bench", "code": "{code}", "backend_id": backend.id,
      "transport": "mllp", "codec": "hl7v2", "handler": "core.keep",
      "message_types": "ORU^R01", "order_key_source": "ORC-2-1|OBR-2-1",
      "mllp_port": {port}, "state": "live"}})
env.cr.commit()
'''
    shell = [ROOT / "setup" / "odoo", "shell", "-c", os.environ["HEALTH_CONF"]]
    subprocess.run(
        [*shell, "--no-http"],
        input=script,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(port: int, seconds: float = 20) -> None:
    """The running listener finds new interfaces by itself."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def mllp(port: int, connections: int) -> float:
    command = [sys.executable, LOAD, port, connections, SECONDS, BYTES]
    done = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def pgbench_program() -> str:
    found = shutil.which("pgbench")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if not found and not installed:
        sys.exit("pgbench is missing: install Debian's postgresql-contrib package")
    return found or str(installed[-1])


def pgbench(program: str, script: str, connections: int) -> float:
    """Transactions per second of one INSERT each."""
    options = ["-n", "-c", connections, "-j", 2, "-T", SECONDS, "-f", script]
    command = [program, *map(str, options), os.environ["HEALTH_PG_DSN"]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)[1])


def memory(port: int) -> float:
    """Resident memory of the listener in MB while it serves 200 connections."""
    stack = Path(os.environ["HEALTH_STATE"]) / "stack" / os.environ["HEALTH_STACK"]
    pid = (stack / "gateway.pid").read_text().split()[0]
    command = [sys.executable, LOAD, port, 200, SECONDS, BYTES]
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL
    ) as load:
        time.sleep(SECONDS * 0.8)
        status = Path(f"/proc/{pid}/status").read_text()
        load.wait(30)
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def main() -> None:
    port = free_port()
    program = pgbench_program()
    connection = connect()
    with connection.cursor() as cursor, tempfile.NamedTemporaryFile("w") as script:
        cursor.execute(
            "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, body bytea)"
        )
        body = "0" * 2 * BYTES
        script.write(rf"INSERT INTO bench_insert (body) VALUES ('\x{body}');")
        script.flush()
        prepare(port)
        wait_for(port)
        for connections, bar in BARS.items():
            say(f"  {BYTES} bytes, {connections} connections, {durability(cursor)}")
            value = ratio(
                partial(mllp, port, connections),
                partial(pgbench, program, script.name, connections),
            )
            name = "mllp_accept" if connections == 16 else f"mllp_accept_{connections}"
            figure(name, value, "x", bar)
    used = memory(port)
    verdict = "pass" if used <= MEMORY_BAR else "short"
    print(f"mllp_memory_200 {used:.0f} MB <={MEMORY_BAR} {verdict}", flush=True)


if __name__ == "__main__":
    main()
