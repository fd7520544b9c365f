"""Queries per message that Odoo's controller accepts, as Odoo counts them itself: its
request log ends with their number. What Odoo asks for every request is among them.

Needs a running system: HEALTH_CONF, HEALTH_PG_DSN, HEALTH_URL, HEALTH_LOG_DIR.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import requests
from _bench import SMOKE, connect, say
from http_accept import CODE, KEY, prepare

BAR = 5
COUNT = 20 if SMOKE else 300
WARM = 10


def counted(log: Path, start: int) -> list[int]:
    """Queries of the requests that were logged since."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode("utf-8", "replace")
    return [int(n) for n in re.findall(rf"/health/in/{CODE} [^\n]* 202 - (\d+) ", text)]


def send(count: int, run: str) -> None:
    url = f"{os.environ['HEALTH_URL']}/health/in/{CODE}"
    headers = {"Authorization": f"Bearer {KEY}"}
    for number in range(count):
        body = {"id": f"{run}-{number}", "order": str(number)}
        requests.post(url, json=body, headers=headers, timeout=30).raise_for_status()


def main() -> None:
    with connect() as connection, connection.cursor() as cursor:
        prepare(cursor)
    send(WARM, "warm")
    log = Path(os.environ["HEALTH_LOG_DIR"], "odoo.log")
    start = log.stat().st_size
    send(COUNT, "counted")
    deadline = time.monotonic() + 10
    while len(found := counted(log, start)) < COUNT:
        if time.monotonic() > deadline:
            raise RuntimeError("not every request was logged")
        time.sleep(0.1)
    mean = sum(found) / len(found)
    say(f"  {min(found)} to {max(found)} queries")
    verdict = "pass" if mean <= BAR else "short"
    print(f"queries_accept {mean:.2f} queries <={BAR} {verdict}", flush=True)


if __name__ == "__main__":
    main()
