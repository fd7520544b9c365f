"""HTTP accept by the gateway process ÷ a bare Odoo controller that reads the body and
does one INSERT (three workers), turn about, driven by wrk with as many connections.

Every accepted message is new, and answered after it is on disk. Needs a running system:
HEALTH_CONF, HEALTH_PG_DSN, HEALTH_GATEWAY_URL.
"""

from __future__ import annotations

import os
import time

import requests
from _bench import connect, durability, figure, ratio, say
from _server import odoo_server
from http_accept import BODY, CODE, KEY, lua_script, prepare, rate

BAR = 8.0
CONNECTIONS = 32


def wait_known(url: str, seconds: float = 20) -> None:
    """The gateway finds a new interface by itself."""
    deadline = time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {KEY}"}
    while True:
        status = requests.post(url, b"{}", headers=headers, timeout=10).status_code
        if status == 202:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the gateway answers {status}")
        time.sleep(0.2)


def main() -> None:
    gateway = f"{os.environ['HEALTH_GATEWAY_URL']}/health/in/{CODE}"
    with connect() as connection, connection.cursor() as cursor:
        prepare(cursor)
        say(f"  {durability(cursor)}, {len(BODY)} bytes, wrk -c{CONNECTIONS}")
    wait_known(gateway)
    with odoo_server("health_bench_bare") as url, lua_script() as fresh:
        value = ratio(
            lambda: rate(gateway, fresh(), CONNECTIONS),
            lambda: rate(f"{url}/bench/bare", fresh(), CONNECTIONS),
        )
    figure("gateway_accept", value, "x", BAR)


if __name__ == "__main__":
    main()
