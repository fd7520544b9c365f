"""What a laboratory will send in a kill test: three messages about each order.

Pure data, the same for the same seed. The messages of an order belong to one sender,
who sends the next only when the last one is acknowledged; which door each goes
through is drawn anew, so that orders are kept across interfaces.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone

from e2e.lab_messages import oru
from live import odoo_shell

DONE, IGNORED, PARKED, BEHIND = "done", "ignored", "parked", "behind"
#: share of the orders, their reports, what becomes of each, and the last status
STORIES = (
    (0.70, "PFC", (DONE, DONE, DONE), "corrected"),
    (0.15, "FPC", (DONE, IGNORED, DONE), "corrected"),  # preliminary comes late
    (0.13, "PPF", (DONE, DONE, DONE), "final"),
    (0.02, "PFC", (PARKED, BEHIND, BEHIND), None),  # of an order that nobody placed
)
HTTP_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Order:
    """A placed order, and the number of its patient."""

    number: str
    patient: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One message of the plan.

    :param key: its control id: what the sender repeats with every try
    :param door: ``mllp`` or ``http``
    :param step: its place among the messages of the order
    :param fate: what has to become of it
    :param last: the status of the order's test after its last message; None for an
        order that is unknown
    """

    key: str
    order: str
    door: str
    step: int
    fate: str
    last: str | None
    raw: bytes

    def as_json(self) -> dict:
        return {**asdict(self), "raw": base64.b64encode(self.raw).decode()}

    @classmethod
    def from_json(cls, values: dict) -> Unit:
        return cls(**{**values, "raw": base64.b64decode(values["raw"])})


def place_orders(count: int, run: str) -> list[Order]:
    """Orders of demo patients for one test each, placed in the running system."""
    script = f"""
product = env["product.product"].search([("lab_test_code", "=", "58410-2")], limit=1)
patients = env["res.partner"].search([("is_patient", "=", True)], limit=60)
numbers = [
    patient.identifier_ids.filtered(lambda each: each.system == "HEALTHGROUP")[0].value
    for patient in patients]
env["health.lab.order"].with_context(tracking_disable=True).create([
    {{"placer_number": f"{run}-{{number}}", "partner_id": patients[number % 60].id,
      "state": "ordered", "line_ids": [(0, 0, {{"product_id": product.id}})]}}
    for number in range({count})])
env.cr.commit()
print("NUMBERS", *numbers)
"""
    [line] = [x for x in odoo_shell(script).splitlines() if "NUMBERS " in x]
    patients = line.partition("NUMBERS ")[2].split()
    return [Order(f"{run}-{n}", patients[n % len(patients)]) for n in range(count)]


def make_plan(
    orders: Sequence[Order], run: str, senders: int, seed: int
) -> list[list[Unit]]:
    """The messages of each sender, those of its orders shuffled into each other."""
    draw = random.Random(seed)
    queues: list[list[Unit]] = []
    for sender in range(senders):
        stories = [_story(order, run, draw) for order in orders[sender::senders]]
        queues.append(_shuffle_in(stories, draw))
    return queues


def _story(order: Order, run: str, draw: random.Random) -> list[Unit]:
    weights = [story[0] for story in STORIES]
    _share, reports, fates, last = draw.choices(STORIES, weights)[0]
    number = order.number if last else f"{order.number}-STRANGE"
    start = datetime.now(timezone.utc) - timedelta(hours=2)
    return [
        Unit(
            key=f"{order.number}-{step}",
            order=number,
            door="http" if draw.random() < HTTP_SHARE else "mllp",
            step=step,
            fate=fates[step],
            last=last,
            raw=_render(order, number, step, status, start),
        )
        for step, status in enumerate(reports)
    ]


def _render(order: Order, number: str, step: int, status: str, start: datetime):
    at = oru.stamp(step, start)
    observation = oru.Obx(status, value=f"{step}.{order.number.rpartition('-')[2]}")
    test = oru.Obr(
        filler=f"F{number}^NORTHLAB",
        status=status,
        at=at,
        observations=(observation,),
    )
    return oru.Oru(
        control_id=f"{order.number}-{step}",
        placer=number,
        identifiers=oru.patient(order.patient),
        tests=(test,),
        sent=at,
    ).render()


def _shuffle_in(stories: list[list[Unit]], draw: random.Random) -> list[Unit]:
    """One line of all stories; each stays in its order, a few are under way at once."""
    waiting, open_, line = list(stories), [], []
    while waiting or open_:
        while waiting and len(open_) < 8:
            open_.append(list(waiting.pop()))
        story = draw.choice(open_)
        line.append(story.pop(0))
        if not story:
            open_.remove(story)
    return line
