"""Results to orders ÷ the same by the OCA's EDI framework, both accept to done, with
two job slots each, on the same machine, turn about.

Ours: MLLP, everything from sealing to the contract. Theirs: an exchange record for each
message, received by a controller and processed by a job of edi_queue_oca; its handler
parses the message and writes the order, without any check.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _bench import ROOT, SMOKE, connect, figure, ratio, say, wait_for
from _own import ADDONS, install, own_database, own_server
from _results import make_orders
from pipeline import throughput

OURS, THEIRS, ROUNDS = (40, 10, 1) if SMOKE else (2000, 200, 3)
CONNECTIONS = 4
BAR = 20.0


def peers() -> Path:
    """The folder of the peers' addons, in the cache; fetched once."""
    wanted = ROOT / "requirements-bench.txt"
    stamp = hashlib.sha256(wanted.read_bytes()).hexdigest()[:8]
    target = Path(os.environ["HEALTH_CACHE"]) / f"bench-peers-{stamp}"
    if not target.is_dir():
        say("  fetching the EDI framework")
        new = target.with_suffix(".new")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-input", "--no-deps"]
        subprocess.run([*pip, "--upgrade", "--target", new, "-r", wanted], check=True)
        new.rename(target)
    return target / "odoo" / "addons"


def send(url: str, message: bytes) -> None:
    request = urllib.request.Request(
        f"{url}/bench/edi", message, {"Content-Type": "application/hl7-v2"}
    )
    urllib.request.urlopen(request, timeout=60).close()


def edi_throughput(url: str, count: int) -> float:
    """Messages per second, first byte to last order."""
    messages = make_orders(count)
    with connect() as connection, connection.cursor() as cursor:

        def left() -> int:
            cursor.execute(
                """SELECT count(*) FROM edi_exchange_record
                    WHERE edi_exchange_state <> 'input_processed'"""
            )
            return cursor.fetchone()[0]

        started = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda message: send(url, message), messages))
        wait_for(lambda: not left(), 300)
        return count / (time.perf_counter() - started)


def main() -> None:
    live = {key: os.environ[key] for key in ("HEALTH_CONF", "HEALTH_PG_DSN")}
    with own_database("edi", ADDONS, peers()) as conf:
        own = {key: os.environ[key] for key in live}
        install(conf, "health_bench_edi")
        with own_server(conf) as url:

            def ours() -> float:
                os.environ.update(live)
                return throughput(OURS)

            def theirs() -> float:
                os.environ.update(own)
                return edi_throughput(url, THEIRS)

            wait_for_runner(theirs)
            figure("edi_ratio", ratio(ours, theirs, ROUNDS), "ratio", BAR)


def wait_for_runner(theirs) -> None:
    """The first run of jobs also waits for the job runner to begin."""
    theirs()


if __name__ == "__main__":
    main()
