"""ORU^R01 messages for tests. Pure Python: also used by tests/e2e without Odoo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

AUTHORITY = "HEALTHGROUP"


def stamp(minutes: float = 0, since: datetime | None = None) -> str:
    """An HL7 time with offset: so many minutes after a moment, by default of
    yesterday, so that neither earlier nor later ones lie in the future."""
    since = since or datetime.now(timezone.utc) - timedelta(days=1)
    return (since + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S%z")


@dataclass(frozen=True, slots=True)
class Obx:
    """One observation."""

    status: str = "F"
    flags: str = "N"
    value: str = "13.2"
    code: str = "718-7^Hemoglobin^LN"

    def segment(self, number: int) -> str:
        fields = ("OBX", str(number), "NM", self.code, "", self.value, "g/dL", "12-16")
        return "|".join((*fields, self.flags, "", "", self.status))


@dataclass(frozen=True, slots=True)
class Obr:
    """One reported test.

    :param filler: OBR-3 and ORC-3, with its authority
    :param status: OBR-25
    :param at: OBR-22
    :param placer: overrides that of the message
    """

    code: str = "58410-2^CBC^LN"
    filler: str = ""
    status: str = "F"
    at: str = ""
    observations: tuple[Obx, ...] = (Obx(),)
    placer: str | None = None

    def segments(self, number: int, placer: str) -> list[str]:
        placer = placer if self.placer is None else self.placer
        obr = ["OBR", str(number), placer, self.filler, self.code, *[""] * 17]
        obr += [self.at, "", "", self.status]
        lines = [f"ORC|RE|{placer}|{self.filler}", "|".join(obr)]
        return lines + [obx.segment(n) for n, obx in enumerate(self.observations, 1)]


@dataclass(frozen=True, slots=True)
class Oru:
    """One message.

    :param placer: the order number, without authority
    :param identifiers: PID-3 as it stands
    :param facility: PV1-3-4
    :param more: further patients of the same message, each a (PID-3, tests) pair
    """

    control_id: str
    placer: str = ""
    identifiers: str = ""
    tests: tuple[Obr, ...] = (Obr(),)
    name: str = "DOE^JANE"
    authority: str = AUTHORITY
    facility: str = ""
    sent: str = ""
    charset: str = ""
    more: tuple[tuple[str, tuple[Obr, ...]], ...] = ()

    def text(self) -> str:
        header = ["MSH", "^~\\&", "LIS", "NORTHLAB", "ODOO", "GROUP"]
        header += [self.sent or stamp(60), "", "ORU^R01^ORU_R01", self.control_id]
        header += ["T", "2.5.1", "", "", "", "", "", self.charset]
        placer = f"{self.placer}^{self.authority}" if self.placer else ""
        lines = ["|".join(header).rstrip("|")]
        for identifiers, tests in ((self.identifiers, self.tests), *self.more):
            lines.append(f"PID|1||{identifiers}||{self.name}||19800101|F")
            lines.append(f"PV1|1|O|LAB^1^^{self.facility}")
            for number, test in enumerate(tests, 1):
                lines += test.segments(number, placer)
        return "".join(f"{line}\r" for line in lines)

    def render(self, codec: str = "utf-8") -> bytes:
        return self.text().encode(codec)


def patient(number: str, authority: str = AUTHORITY, kind: str = "MR") -> str:
    """PID-3 of one number."""
    return f"{number}^^^{authority}^{kind}"
