"""What the framework costs beside the business write, in one process.

``bare_ratio``: results accepted and applied to orders ÷ the same orders found, written
and flushed one by one, messages per second each. ``queries_processed``: statements for
each processed message, those of the handler included.
"""

from __future__ import annotations

import os
import statistics

from _bench import SMOKE, figure, say
from _own import measure, own_database

COUNT, ROUNDS = (50, 1) if SMOKE else (2000, 5)
RATIO_BAR, QUERIES_BAR = 0.5, 6.0


def main() -> None:
    assert os.environ["HEALTH_PG_DSN"]
    with own_database("bare"):
        ratios = []
        for ours, bare in measure("bare_ratio", COUNT, ROUNDS):
            ratios.append(bare / ours)
            say(f"  ours {COUNT / ours:.0f}/s, bare {COUNT / bare:.0f}/s")
        figure("bare_ratio", statistics.median(ratios), "ratio", RATIO_BAR)
        queries = measure("queries", COUNT)[0][0]
        figure("queries_processed", queries, "queries", at_most=QUERIES_BAR)


if __name__ == "__main__":
    main()
