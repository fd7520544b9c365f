"""The partner of a kill test, a process outside the hub with a ledger of its own.

    python -m chaos.ledger FOLDER

Sends what ``FOLDER/plan.json`` says until everything is acknowledged, and keeps each
try and every byte of each answer in ``FOLDER/ledger.jsonl``: appended and on disk
before the next step, so that what the ledger calls acknowledged is nobody's guess.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chaos.doors import Door, is_positive, is_put_off, reset
from chaos.plan import Unit

#: seconds a partner waits for an answer; pauses before a message is sent again
PATIENCE, PAUSE = 8.0, (0.05, 0.6)
#: what goes wrong with the first try of a message; the rest goes well
MISHAPS = {
    "cut": 0.05,  # half of the bytes, then closed
    "deaf": 0.05,  # all of them, then closed before the answer
    "reset": 0.05,  # after the answer, without good-bye
    "slow": 0.04,  # reads long after the answer is there
    "twice": 0.05,  # on two connections at the same moment
}
REPEATED, BURST = 0.08, 0.10


class Ledger:
    """An append-only file; an entry is on disk when :meth:`note` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, unit: Unit, event: str, **values: object) -> None:
        entry = {"at": time.time(), "key": unit.key, "event": event, **values}
        with self._lock:
            self._file.write(json.dumps(entry).encode() + b"\n")
            os.fsync(self._file.fileno())

    def answer(self, unit: Unit, door: Door, data: bytes, **values: object) -> bool:
        """Keep an answer; tells whether it was a positive one to this message."""
        code = door.code(data, unit.key)
        text = base64.b64encode(data).decode()
        self.note(unit, "answer", code=code, door=door.kind, bytes=text, **values)
        return is_positive(code)


class Sender:
    """One partner system: its orders, its connections, one thread."""

    def __init__(
        self,
        units: list[Unit],
        doors: dict[str, list[Door]],
        ledger: Ledger,
        draw: random.Random,
        pace: float,
    ) -> None:
        self._units = units
        self._doors = doors
        self._ledger = ledger
        self._draw = draw
        self._pace = pace
        self._lines: dict[Door, object] = {}

    def run(self) -> None:
        started, units = time.monotonic(), list(self._units)
        sent = 0
        while units:
            time.sleep(max(0.0, started + sent * self._pace - time.monotonic()))
            count = self._burst_size(units)
            burst, units = units[:count], units[count:]
            if count > 1:
                burst = self._send_burst(burst)
            for unit in burst:
                self._send(unit)
            sent += count

    # -- one message ----------------------------------------------------------------

    def _send(self, unit: Unit) -> None:
        """Until it is acknowledged; now and then once more after that."""
        kinds, weights = [*MISHAPS, "well"], [*MISHAPS.values()]
        how = self._draw.choices(kinds, [*weights, 1 - sum(weights)])[0]
        while not self._try(unit, how):
            how = "well"
            time.sleep(self._draw.uniform(*PAUSE))
        if self._draw.random() < REPEATED:
            self._try(unit, "repeated")

    def _try(self, unit: Unit, how: str) -> bool:
        door = self._draw.choice(self._doors[unit.door])
        self._ledger.note(unit, "try", door=door.kind, port=door.port, how=how)
        attempt: Callable[[Unit, Door], bool] = getattr(self, f"_{how}", self._well)
        try:
            return attempt(unit, door)
        except OSError as error:
            self._ledger.note(unit, "lost", why=type(error).__name__)
            self._hang_up(door)
            return False

    def _well(self, unit: Unit, door: Door, wait: float = 0.0) -> bool:
        line = self._line(door)
        line.sendall(door.wire(unit.raw))
        time.sleep(wait)
        data = door.read(line, PATIENCE)
        positive = self._ledger.answer(unit, door, data)
        if not positive or door.kind == "http":
            self._hang_up(door)
        return positive

    def _slow(self, unit: Unit, door: Door) -> bool:
        return self._well(unit, door, self._draw.uniform(0.5, 2.5))

    def _cut(self, unit: Unit, door: Door) -> bool:
        wire = door.wire(unit.raw)
        with door.connect(PATIENCE) as line:
            line.sendall(wire[: self._draw.randrange(1, len(wire) - 3)])
        return False

    def _deaf(self, unit: Unit, door: Door) -> bool:
        with door.connect(PATIENCE) as line:
            line.sendall(door.wire(unit.raw))
        return False

    def _reset(self, unit: Unit, door: Door) -> bool:
        line = door.connect(PATIENCE)
        line.sendall(door.wire(unit.raw))
        positive = self._ledger.answer(unit, door, door.read(line, PATIENCE))
        reset(line)
        return positive

    def _twice(self, unit: Unit, door: Door) -> bool:
        lines = [door.connect(PATIENCE) for _ in range(2)]
        for line in lines:
            line.sendall(door.wire(unit.raw))
        answers = [door.read(line, PATIENCE) for line in lines]
        for line in lines:
            line.close()
        return any([self._ledger.answer(unit, door, data) for data in answers])

    # -- several at once ------------------------------------------------------------

    def _burst_size(self, units: list[Unit]) -> int:
        """Up to three messages of different orders may go in one write."""
        ahead = units[:3]
        fits = {unit.door for unit in ahead} == {"mllp"}
        fits = fits and len({unit.order for unit in ahead}) == len(ahead)
        return len(ahead) if fits and self._draw.random() < BURST else 1

    def _send_burst(self, units: list[Unit]) -> list[Unit]:
        """In one write and another order than planned; what was not acknowledged."""
        units = self._draw.sample(units, len(units))
        [door] = self._doors["mllp"]
        for unit in units:
            self._ledger.note(unit, "try", door=door.kind, port=door.port, how="burst")
        try:
            line = self._line(door)
            line.sendall(b"".join(door.wire(unit.raw) for unit in units))
            left = [
                unit
                for unit in units
                if not self._ledger.answer(unit, door, door.read(line, PATIENCE))
            ]
        except OSError:
            left = units
        if left:
            self._hang_up(door)
        return left

    def _line(self, door: Door):
        """The open connection to a door."""
        if door not in self._lines:
            self._lines[door] = door.connect(PATIENCE)
        return self._lines[door]

    def _hang_up(self, door: Door) -> None:
        line = self._lines.pop(door, None)
        if line is not None:
            line.close()


class Entries:
    """The ledger as others read it; :meth:`more` takes in what came since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self.tries = 0
        #: {key: bytes of each positive answer}
        self.acked: dict[str, list[bytes]] = {}
        #: what no partner should hear: (key, code)
        self.refused: list[tuple[str, str]] = []

    def more(self) -> Entries:
        if not self._path.exists():
            return self
        with self._path.open("rb") as stream:
            stream.seek(self._place)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._place += len(line)
                self._take(json.loads(line))
        return self

    def _take(self, entry: dict) -> None:
        self.tries += entry["event"] == "try"
        if entry["event"] != "answer":
            return
        if is_positive(entry["code"]):
            data = base64.b64decode(entry["bytes"])
            self.acked.setdefault(entry["key"], []).append(data)
        elif not is_put_off(entry["code"]):
            self.refused.append((entry["key"], entry["code"]))


def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    ledger = Ledger(folder / "ledger.jsonl")
    doors = {
        kind: [Door(**{**door, "headers": tuple(door["headers"])}) for door in each]
        for kind, each in plan["doors"].items()
    }
    senders = [
        Sender(
            [Unit.from_json(unit) for unit in units],
            doors,
            ledger,
            random.Random(plan["seed"] + number),
            plan["pace"],
        )
        for number, units in enumerate(plan["queues"])
    ]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
