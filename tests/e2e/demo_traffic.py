"""Sends laboratory results to a running system and says what became of them.

200 messages about the demo orders over four MLLP connections and HTTP, then what must
be refused, then the samples of the project and, where it lies beside the project, the
larger corpus. Waits until nothing is left to process, and ends with 0 only when every
message is accounted for.

    HEALTH_URL, HEALTH_DB, HEALTH_MLLP_HOST, HEALTH_MLLP_PORT,
    HEALTH_ADMIN_LOGIN, HEALTH_ADMIN_PASSWORD    where the system is
    HEALTH_CORPUS=0                              leaves the samples out
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab_messages import ROOT, Nasty, Sent, framed, nasty, plan
from running_system import (
    DEMO_ORDERS,
    FINAL,
    HTTP_INTERFACE,
    MLLP_INTERFACE,
    OdooApi,
    demo_orders,
    make_key,
    mllp_address,
    newest_message,
    settings,
    settle,
)
from wire import DUE, NOT_DUE, Answer, HttpDoor, Mllp, frames_of, messages_of

CORPUS = (ROOT / "tests/samples/hl7v2", ROOT.parent / "shared/data/hl7v2")
#: over which the samples are sent
CONNECTIONS = 4
#: planned fate -> what a correct system answers
POSITIVE = {"done", "ignored", "parked", "behind", "duplicate"}


@dataclass(slots=True)
class Tally:
    """What was answered to one part of the traffic.

    :param stored: messages that a positive answer or a conflict says are stored, once
        for each door
    """

    answers: Counter = field(default_factory=Counter)
    stored: set[tuple[str, bytes]] = field(default_factory=set)
    duplicates: int = 0
    surprises: list[str] = field(default_factory=list)

    def note(self, door: str, raw: bytes, answer: Answer) -> None:
        self.answers[answer.code or "none"] += 1
        if answer.is_accepted or answer.is_conflict:
            self.duplicates += (door, raw) in self.stored
            self.stored.add((door, raw))

    @property
    def sent(self) -> int:
        return sum(self.answers.values())

    @property
    def refused(self) -> int:
        """Negative answers to what was not stored."""
        return self.sent - self.answers["none"] - len(self.stored) - self.duplicates


# -- sending --------------------------------------------------------------------------


async def send_plan(items: Sequence[Sent], door: HttpDoor) -> Tally:
    """Each way sends its messages one after the other, all ways at once."""
    tally = Tally()
    ways = defaultdict(list)
    for item in items:
        ways[item.way].append(item)
    await asyncio.gather(
        *(_send_way(way, queue, door, tally) for way, queue in ways.items())
    )
    return tally


async def _send_way(way: str, queue: list[Sent], door: HttpDoor, tally: Tally) -> None:
    client = None if way == "http" else Mllp(*mllp_address())
    name = HTTP_INTERFACE if way == "http" else MLLP_INTERFACE
    for item in queue:
        if client is None:
            answer = await asyncio.to_thread(door.send, item.raw)
        else:
            (answer,) = await client.send(framed(item.raw))
        tally.note(name, item.raw, answer)
        right = answer.is_accepted if item.fate in POSITIVE else answer.is_conflict
        if not right:
            tally.surprises.append(f"{item.what}: answered {answer.code or 'nothing'}")
    if client is not None:
        await client.close()


async def send_nasty(items: Iterable[Nasty]) -> Tally:
    """Each on a connection of its own: it may be closed over it."""
    tally = Tally()
    for item in items:
        client = Mllp(*mllp_address())
        (answer,) = await client.send(item.wire, DUE if item.answer else NOT_DUE)
        await client.close()
        tally.note(MLLP_INTERFACE, item.wire, answer)
        if answer.code != item.answer:
            said = f"{answer.code or 'nothing'}, not {item.answer or 'nothing'}"
            tally.surprises.append(f"{item.what}: answered {said}")
    return tally


def send_nasty_http(
    tally: Tally, door: HttpDoor, stranger: HttpDoor, good: bytes
) -> None:
    """The same for HTTP; ``stranger`` has a wrong key."""
    for what, sender, raw, expected in (
        ("wrong key", stranger, good, "401"),
        ("no body", door, b"", "400"),
        ("not HL7", door, b"PK\x03\x04 not HL7", "400"),
        ("other type", door, good.replace(b"ORU^R01", b"ADT^A01"), "422"),
        ("too large", door, good + b"x" * (1 << 20), "413"),
    ):
        answer = sender.send(raw)
        tally.note(HTTP_INTERFACE, raw, answer)
        if answer.code != expected:
            tally.surprises.append(f"{what}: answered {answer.code}, not {expected}")


async def send_corpus(files: Sequence[Path]) -> Tally:
    """Every sample as one frame, or as it is when it holds frame bytes itself."""
    tally = Tally()
    parts = (files[start::CONNECTIONS] for start in range(CONNECTIONS))
    await asyncio.gather(*(_send_files(part, tally) for part in parts))
    return tally


async def _send_files(files: Sequence[Path], tally: Tally) -> None:
    client = Mllp(*mllp_address())
    for file in files:
        raw = file.read_bytes()
        if b"\x0b" in raw or b"\x1c" in raw:
            messages = frames_of(raw)
            answers = await Mllp(*mllp_address()).send_frames(raw)
        else:
            messages = messages_of(raw)
            answers = await client.send(framed(raw), NOT_DUE)
        if len(answers) != len(messages):  # one answer to all of it
            messages, answers = [raw], answers[:1]
        for message, answer in zip(messages, answers, strict=True):
            tally.note(MLLP_INTERFACE, message, answer)
    await client.close()


def corpus_files() -> list[Path]:
    return [path for folder in CORPUS for path in sorted(folder.rglob("*.hl7"))]


# -- judging --------------------------------------------------------------------------


def check_plan(
    items: Sequence[Sent], states: dict[str, int], untouched: bool
) -> list[str]:
    """Every planned message is where it belongs. A system whose orders had results
    before may ignore more of them: then only the sum is checked."""
    fates = Counter(item.fate for item in items)
    fates["parked"] += fates.pop("conflict", 0)
    fates.pop("duplicate", 0)
    stored, wanted = sum(states.values()), sum(fates.values())
    if stored != wanted:
        return [f"{stored} messages stored, {wanted} were accepted"]
    if not untouched:
        return []
    return [
        f"{states.get(fate, 0)} messages {fate}, not {count}"
        for fate, count in fates.items()
        if states.get(fate, 0) != count
    ]


def check_sum(
    what: str, tally: Tally, states: dict[str, int], untouched: bool
) -> list[str]:
    """What was accepted is stored; what asked for no answer may be stored as well.

    On a system that has seen the same samples before they are duplicates.
    """
    stored, promised = sum(states.values()), len(tally.stored)
    least = promised if untouched else 0
    if least <= stored <= promised + tally.answers["none"]:
        return []
    return [f"{what}: {stored} messages stored, {promised} were accepted"]


def report(what: str, tally: Tally, states: dict[str, int], seconds: float) -> None:
    answers = ", ".join(f"{code} {n}" for code, n in sorted(tally.answers.items()))
    print(f"{what} ({seconds:.1f} s)")
    print(f"  answers     {tally.sent:5}  {answers}")
    print(f"  accepted    {len(tally.stored):5}  and {tally.duplicates} duplicates")
    print(f"  refused     {tally.refused:5}")
    print(f"  stored      {sum(states.values()):5}")
    for state in (*FINAL, "behind"):
        label = "behind a parked one" if state == "behind" else state
        print(f"    {states.get(state, 0):5}  {label}")


class Run:
    """One run against one system: its phases, and what is wrong with them."""

    def __init__(self) -> None:
        self.api = OdooApi(**settings())
        self.name = f"{int(time.time()):x}"
        self.problems: list[str] = []
        self.orders = demo_orders(self.api)
        self.untouched = not self.api.call(
            "health.lab.order",
            "search_count",
            [*DEMO_ORDERS, ("state", "!=", "ordered")],
        )

    def door(self, key: str) -> HttpDoor:
        where = settings()
        return HttpDoor(where["url"], where["database"], HTTP_INTERFACE, key)

    def phase(self, what: str, send: Callable[[], Tally]) -> tuple[Tally, dict]:
        """Send, wait until it is processed, and report."""
        since, clock = newest_message(self.api), time.monotonic()
        tally = send()
        states = settle(self.api, since)
        report(what, tally, states, time.monotonic() - clock)
        self.problems += tally.surprises
        return tally, states

    def results(self, door: HttpDoor) -> None:
        items = plan(self.orders, self.name)
        _tally, states = self.phase(
            "Results of the demo orders", lambda: asyncio.run(send_plan(items, door))
        )
        self.problems += check_plan(items, states, self.untouched)

    def refusals(self, door: HttpDoor) -> None:
        items = list(nasty(self.name, self.orders[0]))
        good = items[-2].wire  # the one that only lacks its frame

        def send() -> Tally:
            tally = asyncio.run(send_nasty(items))
            send_nasty_http(tally, door, self.door("x" * 40), good)
            return tally

        tally, states = self.phase("To be refused", send)
        self.problems += check_sum("refused", tally, states, True)

    def samples(self) -> None:
        files = corpus_files()
        tally, states = self.phase(
            f"{len(files)} sample files", lambda: asyncio.run(send_corpus(files))
        )
        self.problems += check_sum("samples", tally, states, self.untouched)


def main() -> int:
    run = Run()
    secret_id, key = make_key(run.api)
    try:
        run.results(run.door(key))
        run.refusals(run.door(key))
    finally:
        run.api.call("health.secret", "action_revoke", [secret_id])
    if os.environ.get("HEALTH_CORPUS") != "0":
        run.samples()
    waiting = run.api.call("health.exception", "search_count", [("state", "=", "open")])
    print(f"Open exceptions: {waiting}")
    for problem in run.problems:
        print(f"PROBLEM: {problem}")
    print("does not add up" if run.problems else "adds up")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
