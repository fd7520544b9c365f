"""What the figures share: the line that is printed, brief runs, a database."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# the figures take them from here
from live import ROOT, odoo_shell, wait_for  # noqa: E402, F401

SMOKE = bool(os.environ.get("HEALTH_BENCH_SMOKE"))


def say(text: str) -> None:
    """Tell a person something; figures alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def figure(
    name: str,
    value: float,
    unit: str,
    bar: float | None = None,
    at_most: float | None = None,
) -> None:
    """Print ``name value unit bar pass|short``; without a bar it is a report.

    :param bar: the value must be at least this
    :param at_most: or: it must not be more than this
    """
    if bar is None and at_most is None:
        print(f"{name} {value:.4g} {unit} - pass", flush=True)
        return
    met = value >= bar if at_most is None else value <= at_most
    limit = f">={bar}" if at_most is None else f"<={at_most}"
    print(f"{name} {value:.3g} {unit} {limit} {'pass' if met else 'short'}", flush=True)


def ratio(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int = 5
) -> float:
    """The median ratio of two rates measured in turns, so that both see the same
    machine."""
    ratios = []
    for number in range(1 if SMOKE else rounds):
        # turn about: neither always runs on the other's warm caches
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        rates = {first: first(), second: second()}
        ratios.append(rates[ours] / rates[theirs])
        say(f"  ours {rates[ours]:.0f}/s, other {rates[theirs]:.0f}/s")
    return statistics.median(ratios)


def connect() -> psycopg2.extensions.connection:
    """The running system's database, each statement its own transaction."""
    connection = psycopg2.connect(os.environ["HEALTH_PG_DSN"])
    connection.autocommit = True
    return connection


def durability(cursor) -> str:
    """The settings that decide what a commit costs."""
    values = []
    for name in ("fsync", "synchronous_commit"):
        cursor.execute(f"SHOW {name}")
        values.append(f"{name}={cursor.fetchone()[0]}")
    return " ".join(values)
