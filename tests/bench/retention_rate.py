"""Messages that retention deletes per second ÷ messages that are accepted per second,
each by one process on the same database: retention must not fall behind.

Deleted is all of a message, each stage on its own as when days differ: content as
received, canonical, attempts, then the message. Accepted is by batches of 50 with a
commit each, as the gateway does. Needs HEALTH_CONF of a running system.
"""

from __future__ import annotations

import os
import statistics

from _bench import SMOKE, figure, odoo_shell, say
from _million import fill, make_interfaces

assert os.environ["HEALTH_CONF"]

BAR = 1
COUNT = 2_000 if SMOKE else 60_000
ROUNDS = 1 if SMOKE else 3

ACCEPT = """
import time, uuid
from odoo.addons.health_connector.lib.accept import Channel, Incoming, accept
ring = env["health.keyring"]._ring()
channel = Channel({0}, {1}, {2})
run, body = uuid.uuid4().hex, b"x" * 700
started = time.perf_counter()
for first in range(0, {count}, 50):
    accept(env.cr, ring, [
        Incoming(channel, body, f"{{run}}-{{number}}", f"o{{number // 5}}", "ORU^R01")
        for number in range(first, first + 50)])
    env.cr.commit()
print("RATE", {count} / (time.perf_counter() - started))
"""

DELETE = """
import time
interface = env["health.interface"].browse({0})
interface.write(dict.fromkeys(
    ("raw_days", "canonical_days", "sent_days", "answer_days", "attempt_days",
     "envelope_days"), 1))
env["health.interface.stat"]._cron_roll_up()
env.cr.commit()
def count():
    env.cr.execute(
        "SELECT count(*) FROM health_message WHERE interface_id = %s", [interface.id])
    stored = env.cr.fetchone()[0]
    env.cr.commit()
    return stored
before = count()
started = time.perf_counter()
assert env["health.retention"]._purge(interface, time.monotonic() + 600)
spent = time.perf_counter() - started
gone = before - count()
assert gone > {count} * 0.9, gone
print("RATE", gone / spent)
"""


def rate(script: str, flow: tuple[int, int, int], count: int) -> float:
    output = odoo_shell(script.format(*flow, count=count))
    return float(output.partition("RATE ")[2].split()[0])


def main() -> None:
    ratios = []
    for _round in range(ROUNDS):
        first, second = make_interfaces(2)
        fill([first], COUNT)
        deleted = rate(DELETE, first, COUNT)
        accepted = rate(ACCEPT, second, COUNT // 4)
        say(f"  deleted {deleted:.0f}/s, accepted {accepted:.0f}/s")
        ratios.append(deleted / accepted)
    figure("retention_rate", statistics.median(ratios), "x", BAR)


if __name__ == "__main__":
    main()
