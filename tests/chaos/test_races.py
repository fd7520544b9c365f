"""Two at once, fifty times, on every unique key and on the claim: one wins, and the
other does what the key's owner says. The races themselves are in ``races.py``."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live import odoo_shell

SCRIPT = Path(__file__).with_name("races.py")
ROUNDS = 50


def run(names: str) -> dict[str, list]:
    """The outcomes of each race."""
    out = odoo_shell(f"{SCRIPT.read_text()}\n\nmain(env, {names!r})\n")
    rounds: dict[str, list] = {name: [] for name in names.split()}
    for line in out.splitlines():
        if "ROUND " in line:
            name, outcome = json.loads(line.partition("ROUND ")[2])
            rounds[name].append(outcome)
    return rounds


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list]:
    """All races, in two Odoos at once: each has a backend of its own."""
    halves = (
        "dedupe payload_stage external_id record",
        "open_cause order_number claim claims_at_last",
    )
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, halves)
    return {**first, **second}


def test_one_message_for_two_that_come_at_once(outcomes) -> None:
    rounds = outcomes["dedupe"]
    assert len(rounds) == ROUNDS
    for first, second in rounds:
        assert first[0] == second[0]
        assert sorted([first[1], second[1]]) == ["duplicate", "new"]


def test_a_stage_of_a_payload_is_there_once_and_opens(outcomes) -> None:
    assert outcomes["payload_stage"] == [["stored", "stored", 1, "{}"]] * ROUNDS


def test_one_open_exception_for_a_cause(outcomes) -> None:
    expected = ["recorded", "recorded", "parked", 1]
    assert outcomes["open_cause"] == [expected] * ROUNDS


@pytest.mark.parametrize("way", ["external_id", "record"])
def test_a_binding_is_unique_both_ways(outcomes, way: str) -> None:
    assert outcomes[way] == [["binding.taken", "bound"]] * ROUNDS


def test_an_order_number_is_given_once(outcomes) -> None:
    assert outcomes["order_number"] == [["UniqueViolation", "created"]] * ROUNDS


def test_two_claims_share_nothing_and_split_no_order(outcomes) -> None:
    assert outcomes["claim"] == [[0, 0, 1]] * ROUNDS
    [(state, messages, done)] = outcomes["claims_at_last"]
    assert (state, messages, done) == ("done", 16 * ROUNDS, 16 * ROUNDS)
    assert Counter(map(tuple, outcomes["claim"])) == {(0, 0, 1): ROUNDS}
