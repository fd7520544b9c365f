"""p95 of accept-to-done at 20 messages per second, in milliseconds: a report.

Measured in the database: from the accepting transaction to the state ``done``.
"""

from __future__ import annotations

import time

from _bench import SMOKE, connect, figure
from _results import make_orders
from pipeline import wait_done

RATE = 20.0
COUNT = 60 if SMOKE else 600


def main() -> None:
    import pipeline
    from live import MllpPeer, ack_code

    pipeline.COUNT = COUNT
    messages = make_orders(COUNT)
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(id), 0) FROM health_message")
        last_id = cursor.fetchone()[0]
        started = time.monotonic()
        with MllpPeer(timeout=60) as peer:
            for number, message in enumerate(messages):
                time.sleep(max(0.0, started + number / RATE - time.monotonic()))
                if ack_code(peer.ask(message)) != "AA":
                    raise RuntimeError("refused")
        wait_done(cursor, last_id)
        cursor.execute(
            """SELECT percentile_disc(0.95) WITHIN GROUP (
                          ORDER BY extract(epoch FROM state_at - accepted_at) * 1000)
                 FROM health_message WHERE id > %s""",
            [last_id],
        )
        figure("latency_p95", float(cursor.fetchone()[0]), "ms")


if __name__ == "__main__":
    main()
