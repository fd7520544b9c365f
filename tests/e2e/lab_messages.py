"""Laboratory traffic for a running system, built from its own orders.

Pure Python. :func:`plan` gives 200 result messages about the demo orders, with what a
correct receiver makes of each; :func:`nasty` gives what no receiver may take, or may
break at.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _builder():
    """The builder of the addon's own tests, loaded without Odoo."""
    path = ROOT / "addons" / "health_connector_lab" / "tests" / "oru.py"
    spec = importlib.util.spec_from_file_location("health_lab_oru", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


oru = _builder()
Obr, Obx, Oru = oru.Obr, oru.Obx, oru.Oru

PLANNED = 200
REFLEX = "3024-7^Free thyroxine^LN"
#: messages of the same order go the same way, so that they stay in order
WAYS = ("mllp-1", "mllp-2", "mllp-3", "mllp-4", "http")


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of an order: its number, patient number, clinic code, tests."""

    number: str
    patient: str
    clinic: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """One message to send.

    :param fate: done, ignored, parked, behind (a parked one), duplicate (the first
        answer again) or conflict (same control id, other content; parked)
    """

    raw: bytes
    way: str
    fate: str = "done"
    what: str = ""


@dataclass(slots=True)
class _Story:
    """The messages of one order, in the order in which they are sent."""

    run: str
    order: Order
    way: str
    other_patient: str
    sent: list[Sent] = field(default_factory=list)
    clock: datetime = field(
        default_factory=lambda: datetime.now(timezone.utc) - timedelta(hours=1)
    )

    def tell(self, *tests: Obr, fate="done", what="", age=0, **values) -> Sent:
        """Send a message; each is a second later than the one before.

        :param age: seconds by which its results are older than that
        """
        number = len(self.sent) + 1
        self.clock += timedelta(seconds=1)
        reported = oru.stamp(0, self.clock - timedelta(seconds=age))
        oru_values = {
            "control_id": f"{self.run}-{self.order.number[-6:]}-{number}",
            "placer": self.order.number,
            "identifiers": oru.patient(self.order.patient),
            "facility": self.order.clinic,
            "sent": reported,
            "name": "PROXYMAN^ZOË",
            "charset": "UNICODE UTF-8",
            **values,
        }
        timed = tuple(replace(test, at=reported) for test in tests)
        raw = Oru(tests=timed, **oru_values).render()
        self.sent.append(Sent(raw, self.way, fate, what))
        return self.sent[-1]

    def tests(self, status="F", observation="", flags="N", count=None) -> list[Obr]:
        """Reports of the order's tests, each under the laboratory's number of it."""
        obx = Obx(observation or status, flags)
        return [
            Obr(code, self.filler(position), status, "", (obx, obx, obx))
            for position, code in enumerate(self.order.tests[:count], 1)
        ]

    def filler(self, position: int) -> str:
        return f"NL{self.order.number[4:]}-{position}^NORTHLAB"


def plan(orders: Sequence[Order], run: str) -> list[Sent]:
    """200 messages about 60 orders.

    :param run: prefix of the control ids, so that a second run sends new messages
    """
    sent: list[Sent] = []
    for number, order in enumerate(orders, 1):
        other = orders[number % len(orders)].patient
        story = _Story(run, order, WAYS[number % len(WAYS)], other)
        _tell(story, number)
        sent += story.sent
    sent += _unknown_orders(run)
    if len(sent) != PLANNED:
        raise ValueError(f"{len(sent)} messages planned, not {PLANNED}")
    return sent


def _tell(story: _Story, number: int) -> None:
    """What happens to the order with this number (1 to 60)."""
    if number % 10 == 3:
        story.tell(*story.tests("I"), what="specimen received")
    if number % 2 == 0:
        story.tell(*story.tests("P"), what="preliminary")
    if number % 3 == 2:
        story.tell(*story.tests("F", count=1), what="first test final")
    flags = {0: "H", 5: "HH"}.get(number % 11, "N")
    final = story.tell(*story.tests("F", flags=flags), what="final")
    _tell_repetitions(story, number, final)
    _tell_changes(story, number)
    _tell_mistakes(story, number)


def _tell_repetitions(story: _Story, number: int, final: Sent) -> None:
    if number % 6 == 0:
        story.sent.append(replace(final, fate="duplicate", what="sent twice"))
    if number % 4 == 1:
        late = story.tests("P")
        story.tell(*late, fate="ignored", what="late preliminary")
    if number % 12 == 5:
        old = story.tests("F")
        story.tell(*old, fate="ignored", age=600, what="old copy")
    if number % 4 == 2:
        story.tell(*story.tests("F"), what="final again, new control id")


def _tell_changes(story: _Story, number: int) -> None:
    if number % 5 == 0:
        story.tell(*story.tests("C", flags="H", count=1), what="corrected")
    if number % 20 == 11:
        wrong = story.tests("F", "W", count=1)
        story.tell(*wrong, what="withdrawn as wrong")
    if number % 20 == 19:
        story.tell(*story.tests("X", count=1), what="cannot be done")
    if number % 10 == 9:
        reflex = Obr(REFLEX, story.filler(9))
        story.tell(reflex, what="reflex test")


def _tell_mistakes(story: _Story, number: int) -> None:
    if number % 20 == 7:
        other = story.sent[-1].raw.replace(b"13.2", b"31.2")
        mistake = "same control id, other content"
        story.sent.append(Sent(other, story.way, "conflict", mistake))
    if number % 20 == 13:
        stranger = oru.patient(f"UNKNOWN{number}", "NORTHLAB", "PI")
        story.tell(
            *story.tests("C"),
            fate="parked",
            what="unknown patient",
            identifiers=stranger,
        )
    if number % 20 == 17:
        other = oru.patient(story.other_patient)
        story.tell(
            *story.tests("C"), fate="parked", what="other patient", identifiers=other
        )
    if number == 13:
        story.tell(*story.tests("C"), fate="behind", what="behind a parked one")


def _unknown_orders(run: str) -> list[Sent]:
    """Five results for orders that nobody placed, from three clinics."""
    sent = []
    for number in range(1, 6):
        order = Order(
            f"LAB-9{number:05}",
            f"MRN{100000 + number}",
            ("NOR", "HAR", "HIL")[number % 3],
            ("58410-2",),
        )
        story = _Story(run, order, WAYS[number % len(WAYS)], "")
        story.tell(*story.tests("F"), fate="parked", what="unknown order")
        sent += story.sent
    return sent


# -- what must be refused -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nasty:
    """Bytes for the wire of MLLP and what must come back.

    :param wire: sent as it is, frame bytes included
    :param answer: MSA-1, or empty when no answer may come
    """

    what: str
    wire: bytes
    answer: str


def framed(raw: bytes) -> bytes:
    return b"\x0b" + raw + b"\x1c\r"


def nasty(run: str, order: Order) -> Iterator[Nasty]:
    """What is refused at the door; nothing of it is stored."""
    good = Oru(f"{run}-N", order.number, oru.patient(order.patient), name="ZOË^X")
    raw = good.render()
    latin = replace(good, charset="UNICODE UTF-8").render("latin-1")
    yield Nasty("Latin-1 declared as UTF-8", framed(latin), "AE")
    yield Nasty("Latin-1 not declared", framed(good.render("latin-1")), "AE")
    unknown = replace(good, charset="KLINGON").render()
    yield Nasty("unknown character set", framed(unknown), "AE")
    yield Nasty("not HL7", framed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "AR")
    yield Nasty("JSON", framed(b'{"resourceType": "Observation"}'), "AR")
    yield Nasty("empty frame", framed(b""), "")
    yield Nasty("two messages in one frame", framed(raw + raw), "AR")
    yield Nasty("no control id", framed(raw.replace(f"{run}-N".encode(), b"")), "AR")
    other_type = raw.replace(b"ORU^R01^ORU_R01", b"ADT^A01^ADT_A01")
    yield Nasty("type that nobody takes", framed(other_type), "AR")
    yield Nasty("header only", framed(raw.split(b"\r")[0] + b"\r"), "AE")
    yield Nasty("larger than agreed", framed(raw + b"NTE|1||" + b"x" * (1 << 20)), "AR")
    yield Nasty("frame that never ends", framed(raw)[:-40], "")
    yield Nasty("no frame at all", raw, "")
    yield Nasty("frame cut in its first byte", b"\x0b", "")
