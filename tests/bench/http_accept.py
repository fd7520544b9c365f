"""HTTP accept ÷ a bare controller that reads the body and does one INSERT, both on
the same server, turn about, driven by wrk with four connections.

Every accepted message is new: its control id counts up. Needs HEALTH_CONF and
HEALTH_PG_DSN of a running system.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import uuid
from pathlib import Path

from _bench import SMOKE, connect, durability, figure, odoo_shell, ratio, say
from _server import odoo_server

BAR = 0.80
SECONDS = 2 if SMOKE else 8
KEY = f"hk_{uuid.uuid4().hex}"
CODE = f"bench-{uuid.uuid4().hex[:8]}"

# one kilobyte, as the bare controller's
BODY = '{"id": "@RUN@-%d-%d", "order": "%d", "text": "' + "x" * 940 + '"}'

LUA = """
local thread = 0
function setup(t) thread = thread + 1; t:set("number", thread) end
local count = 0
function request()
  count = count + 1
  return wrk.format("POST", nil, nil,
    string.format([[%s]], number, count, count %% 100))
end
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
local bad = 0
function response(status) if status ~= 202 then bad = bad + 1 end end
"""


def prepare(cursor) -> None:
    """A live JSON interface with a key, on a backend whose drain is paused: the
    figure is about accepting."""
    script = f'''
backend = env["health.backend"].create(
    {{"name": "Bench", "code": "{CODE}", "paused_in": True,
      "pause_reason": "benchmark"}})
env["health.interface"].create(
    {{"name": "Bench", "code": "{CODE}", "backend_id": backend.id, "codec": "json",
      "handler": "core.keep", "state": "live", "dedupe_source": "id",
      "order_key_source": "order"}})
env["health.secret"].create(
    {{"name": "bench", "backend_id": backend.id}})._set_value("{KEY}")
env.cr.commit()
'''
    odoo_shell(script)


@contextlib.contextmanager
def lua_script():
    """The wrk script; every start gives its threads numbers of their own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.lua"

        def fresh() -> Path:
            body = BODY.replace("@RUN@", uuid.uuid4().hex)
            path.write_text(LUA % (body, KEY), encoding="ascii")
            return path

        yield fresh


def rate(url: str, script: Path, connections: int = 4) -> float:
    """Requests per second of one run of wrk; any failed request is an error."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", script, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])


def main() -> None:
    with connect() as connection, connection.cursor() as cursor:
        prepare(cursor)
        say(f"  {durability(cursor)}, body of {len(BODY)} bytes, 3 workers, wrk -c4")
    with odoo_server("health_bench_bare") as url, lua_script() as fresh:
        value = ratio(
            lambda: rate(f"{url}/health/in/{CODE}", fresh()),
            lambda: rate(f"{url}/bench/bare", fresh()),
        )
    figure("http_accept", value, "x", BAR)


if __name__ == "__main__":
    main()
