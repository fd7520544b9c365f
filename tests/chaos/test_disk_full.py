"""PostgreSQL's volume is full: the doors refuse politely, nothing that they said yes to
is lost, and work goes on when there is space again (G1, G7).

A system of its own on a small volume: a copy of the database, Odoo and the gateway.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from chaos.doors import Door, is_positive, is_put_off
from chaos.plan import oru, place_orders
from chaos.volume import SmallServer
from live import ROOT, bearer_key, query, wait_for

STACK = "full"
#: enough for a message to need new blocks of the table every time
PADDING = 12_000
#: messages at each door while there is no space; most must be refused
TRIES = 60


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    """The system on the small volume; the variables of tests/live.py name it."""
    own = SmallServer(Path(os.environ["HEALTH_STATE"], STACK), "health_full")
    before = dict(os.environ)
    try:
        own.create(os.environ["HEALTH_PG_DSN"])
        ports = ("HTTP", "GEVENT", "MLLP", "GATEWAY")
        for port in ports:
            os.environ.pop(f"HEALTH_{port}_PORT", None)
        os.environ.update(own.environment)
        stack("up", own.database)
        env = Path(os.environ["HEALTH_STATE"], "stack", STACK, "env")
        shown = subprocess.run(
            ["bash", "-c", f"source {env}; env -0"], capture_output=True, check=True
        )
        pairs = (pair.partition(b"=") for pair in shown.stdout.split(b"\0") if pair)
        os.environ.update({key.decode(): value.decode() for key, _is, value in pairs})
        yield own
    finally:
        own.free()
        stack("down")
        own.remove()
        os.environ.clear()
        os.environ.update(before)


def stack(*arguments: str) -> None:
    subprocess.run(
        [ROOT / "setup/stack", STACK, *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=180,
    )


@pytest.fixture(scope="module")
def doors(server) -> dict[str, Door]:
    """All three, and a key that they know."""
    key = bearer_key("northlab")
    headers = (
        f"Authorization: Bearer {key}",
        f"X-Odoo-Database: {os.environ['HEALTH_DB']}",
    )
    path = "/health/in/northlab-oru-http"
    env = os.environ
    return {
        "mllp": Door("mllp", int(env["HEALTH_MLLP_PORT"])),
        "gateway": Door("http", int(env["HEALTH_GATEWAY_PORT"]), path, headers),
        "odoo": Door("http", int(env["HEALTH_HTTP_PORT"]), path, headers),
    }


class Partner:
    """Sends results of its own orders and remembers what was answered."""

    def __init__(self, doors: dict[str, Door], count: int) -> None:
        self._doors = doors
        self.run = f"D{uuid.uuid4().hex[:6].upper()}"
        self._orders = place_orders(count, self.run)
        self.acked: set[str] = set()
        self.answers: list[tuple[str, str, bytes]] = []

    def send(self, name: str) -> str:
        """A result of the next order; the code of the answer."""
        order, door = self._orders.pop(), self._doors[name]
        observation = oru.Obx(value="7", code="718-7^" + "H" * PADDING + "^LN")
        raw = oru.Oru(
            order.number,
            order.number,
            oru.patient(order.patient),
            (oru.Obr(observations=(observation,)),),
        ).render()
        try:
            with closing(door.connect(40)) as line:
                line.sendall(door.wire(raw))
                data = door.read(line, 40)
        except OSError:
            data = b""
        code = door.code(data, order.number)
        self.answers.append((name, code, data))
        if is_positive(code):
            self.acked.add(order.number)
        return code


def test_a_full_disk_is_refused_politely_and_got_over(server, doors) -> None:
    partner = Partner(doors, 3 * TRIES + 300)
    for name in doors:
        wait_for(lambda name=name: is_positive(partner.send(name)), 30)
    server.fill()
    partner.answers.clear()
    for name in doors:
        for _number in range(TRIES):
            partner.send(name)
    check_refusals(partner.answers, set(doors))
    server.free()
    for name in doors:
        wait_for(lambda name=name: is_positive(partner.send(name)), 60)
    wait_for(lambda: all_done(partner), 200)


def check_refusals(answers, names: set[str]) -> None:
    """Every answer asks to come again; those of HTTP say so in JSON."""
    refused = [each for each in answers if not is_positive(each[1])]
    assert {name for name, _code, _data in refused} == names
    for name, code, data in refused:
        assert is_put_off(code), (name, code)
        if name == "mllp":
            continue
        assert code == "503", (name, code, data[:300])
        body = json.loads(data.partition(b"\r\n\r\n")[2])
        assert body["code"] and body["title"] and body["next"]


def all_done(partner: Partner) -> bool:
    """Everything acknowledged is stored; nothing waits, and a lack of space is no
    reason to bother a person. What was stored without an answer is done as well."""
    try:
        rows = query(
            "SELECT external_ref, state FROM health_message WHERE external_ref LIKE %s",
            f"{partner.run}-%",
        )
    except psycopg2.Error:
        return False
    states = dict(rows)
    assert len(states) == len(rows), "a message is stored twice"
    assert partner.acked <= set(states), partner.acked - set(states)
    assert "parked" not in states.values()
    return set(states.values()) == {"done"}
