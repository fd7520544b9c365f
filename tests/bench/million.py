"""Seconds to accept and process a message with a million stored ÷ with ten thousand."""

from __future__ import annotations

import os
import statistics

from _bench import SMOKE, connect, figure, say
from _million import MILLION, fill
from _own import measure, own_database

FEW = 1_000 if SMOKE else 10_000
COUNT, ROUNDS = (50, 1) if SMOKE else (2000, 5)
BAR = 1.2


def flow() -> tuple[int, int, int]:
    """The interface whose messages are measured: all that is stored is its own."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, backend_id, company_id FROM health_interface
                WHERE handler = 'lab.result' AND state = 'live' ORDER BY id LIMIT 1"""
        )
        return cursor.fetchone()


def cost() -> float:
    """Seconds for each message."""
    seconds = [row[0] / COUNT for row in measure("cost", COUNT, ROUNDS)]
    say(f"  {statistics.median(seconds) * 1000:.3g} ms each")
    return statistics.median(seconds)


def main() -> None:
    assert os.environ["HEALTH_PG_DSN"]
    with own_database("million"):
        fill([flow()], FEW)
        few = cost()
        fill([flow()], MILLION - FEW)
        figure("million", cost() / few, "ratio", at_most=BAR)


if __name__ == "__main__":
    main()
