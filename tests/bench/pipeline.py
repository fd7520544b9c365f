"""The whole pipeline: results by MLLP to updated orders, messages per second.

A report without a bar: first byte sent to last order updated, on the running system
(two job slots, one listener), eight connections, one new order for each message.
"""

from __future__ import annotations

import os
import threading
import time

from _bench import SMOKE, connect, durability, figure, say
from _results import make_orders

COUNT = 60 if SMOKE else 2000
CONNECTIONS = 8
TIMEOUT = 300


def send(messages: list[bytes]) -> None:
    """One partner: sends, waits for the answer, sends the next."""
    from live import MllpPeer, ack_code

    with MllpPeer(timeout=60) as peer:
        for message in messages:
            code = ack_code(peer.ask(message))
            if code != "AA":
                raise RuntimeError(f"refused with {code}")


def wait_done(cursor, last_id: int, count: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        cursor.execute(
            """SELECT count(*) FILTER (WHERE state = 'done'),
                      count(*) FILTER (WHERE state NOT IN
                          ('done', 'pending', 'processing', 'waiting'))
                 FROM health_message WHERE id > %s AND direction = 'in'""",
            [last_id],
        )
        done, other = cursor.fetchone()
        if other:
            raise RuntimeError(f"{other} messages were not applied")
        if done == count:
            return
        time.sleep(0.02)
    raise RuntimeError("the pipeline did not finish")


def last_message(cursor) -> int:
    cursor.execute("SELECT COALESCE(max(id), 0) FROM health_message")
    return cursor.fetchone()[0]


def throughput(count: int) -> float:
    """Messages per second from first byte to last order."""
    messages = make_orders(count)
    with connect() as connection, connection.cursor() as cursor:
        last_id = last_message(cursor)
        started = time.perf_counter()
        threads = [
            threading.Thread(target=send, args=(messages[number::CONNECTIONS],))
            for number in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(f"  all accepted after {time.perf_counter() - started:.1f} s")
        wait_done(cursor, last_id, count)
        return count / (time.perf_counter() - started)


def main() -> None:
    assert os.environ["HEALTH_PG_DSN"]
    with connect() as connection, connection.cursor() as cursor:
        say(f"  {durability(cursor)}, {COUNT} messages")
    figure("pipeline", throughput(COUNT), "messages/s")


if __name__ == "__main__":
    main()
