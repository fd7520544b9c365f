"""How long a message takes from accept to done, in milliseconds.

``latency_p95``: p95 at 20 messages per second, a report. ``latency_ratio``: p95 at half
of what the pipeline can do ÷ p95 of a queue job that does nothing, from its creation to
its end, at half of what the job queue can do. Both by the database's clock.
"""

from __future__ import annotations

import os
import threading
import time

from _bench import SMOKE, connect, figure, say
from _own import ADDONS, install, own_database, own_server, shell
from _results import make_orders
from pipeline import last_message, throughput, wait_done

RATE = 20.0
COUNT = 60 if SMOKE else 400
SECONDS = 2 if SMOKE else 10
CONNECTIONS = 4
WARM = 20
JOBS = 20 if SMOKE else 400
BAR = 3.0
TIMEOUT = 120


def send_paced(messages: list[bytes], rate: float) -> None:
    """So many messages a second over a few connections."""
    from live import MllpPeer, ack_code

    started = time.monotonic()

    def partner(first: int) -> None:
        with MllpPeer(timeout=60) as peer:
            for number in range(first, len(messages), CONNECTIONS):
                time.sleep(max(0.0, started + number / rate - time.monotonic()))
                if ack_code(peer.ask(messages[number])) != "AA":
                    raise RuntimeError("refused")

    threads = [
        threading.Thread(target=partner, args=(each,)) for each in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def p95_at(rate: float, count: int) -> float:
    """p95 of accept to done."""
    first, messages = make_orders(WARM), make_orders(count)
    with connect() as connection, connection.cursor() as cursor:
        # a drain that sleeps must be waked once: that is its first second
        last_id = last_message(cursor)
        send_paced(first, rate)
        wait_done(cursor, last_id, WARM)
        last_id = last_message(cursor)
        send_paced(messages, rate)
        wait_done(cursor, last_id, count)
        cursor.execute(
            """SELECT percentile_disc(0.95) WITHIN GROUP (
                          ORDER BY extract(epoch FROM state_at - accepted_at) * 1000)
                 FROM health_message WHERE id > %s""",
            [last_id],
        )
        return float(cursor.fetchone()[0])


def jobs(count: int, rate: float) -> tuple[float, float]:
    """Enqueue jobs that do nothing, each in a transaction of its own.

    :param rate: jobs a second; 0: all at once
    :return: jobs per second, p95 in milliseconds
    """
    script = f"""
import time
started = time.monotonic()
for number in range({count}):
    if {rate}:
        time.sleep(max(0.0, started + number / {rate} - time.monotonic()))
    env["health.bench.job"]._enqueue_nothing()
    env.cr.commit()
"""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM health_bench_job")
        shell(script)
        done, deadline = 0, time.monotonic() + TIMEOUT
        while done < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{done} of {count} jobs ended")
            cursor.execute(
                """SELECT count(*), extract(epoch FROM max(ended) - min(created)),
                          percentile_disc(0.95) WITHIN GROUP (
                              ORDER BY extract(epoch FROM ended - created) * 1000)
                     FROM health_bench_job"""
            )
            done, seconds, p95 = cursor.fetchone()
            time.sleep(0.1)
    return count / float(seconds), float(p95)


def bare_p95() -> float:
    """p95 of a queue job that does nothing, at half load."""
    with own_database("jobs", ADDONS) as conf:
        install(conf, "health_bench_bare")
        with own_server(conf):
            jobs(10, 0)  # the runner begins
            most, _p95 = jobs(JOBS, 0)
            _rate, p95 = jobs(JOBS, most / 2)
    say(f"  job queue: {most:.0f}/s, p95 at half of it {p95:.0f} ms")
    return p95


def main() -> None:
    assert os.environ["HEALTH_PG_DSN"]
    figure("latency_p95", p95_at(RATE, COUNT), "ms")
    most = throughput(60 if SMOKE else 2000)
    half = p95_at(most / 2, int(most / 2 * SECONDS))
    say(f"  pipeline: {most:.0f}/s, p95 at half of it {half:.0f} ms")
    figure("latency_ratio", half / bare_p95(), "ratio", at_most=BAR)


if __name__ == "__main__":
    main()
