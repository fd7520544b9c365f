"""A partner is down for two hours, at a scale of 1 to 120: one minute, with the waits
of policy and breaker shortened alike. Few calls are made, nothing reaches the partner
twice, and when it is back everything arrives in order (G3, G4, G6)."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict

from chaos.nodes import free_port
from live import odoo_shell, query, wait_for
from partner_stub import PartnerStub

SCALE = 120
OUTAGE = 2 * 3600 / SCALE
KEYS, EACH = 5, 8

_SET_UP = """
policy = env["health.error.policy"].create({"name": "@", "line_ids": [(0, 0, {
    "error_class": "transient", "retried": True, "counts_for_breaker": True,
    "base": 1, "cap": %(cap)f, "max_tries": 0, "max_age_hours": 24,
    "goes_to": "administrator"})]})
backend = env["health.backend"].create({
    "name": "Outage", "code": "@", "http_url": "http://127.0.0.1:%(port)d",
    "connect_timeout": 2, "read_timeout": 2, "breaker_pause": 1,
    "breaker_pause_cap": %(cap)d})
interface = env["health.interface"].create({
    "name": "Outage", "code": "@", "backend_id": backend.id, "direction": "out",
    "codec": "json", "handler": "core.keep", "path": "in", "repeat_safe": True,
    "error_policy_id": policy.id, "state": "live"})
for number in range(%(each)d):
    for key in range(%(keys)d):
        env["health.message"]._emit(
            interface, document={"key": key, "number": number}, order_key=str(key))
env.cr.commit()
"""


def calls(code: str) -> int:
    """Tries that reached for the partner."""
    [(count,)] = query(
        """SELECT count(*) FROM health_attempt a JOIN health_message m
               ON m.id = a.message_id JOIN health_interface i ON i.id = m.interface_id
            WHERE i.code = %s AND a.outcome NOT IN ('done', 'delivered')""",
        code,
    )
    return count


def states(code: str) -> dict[str, int]:
    return dict(
        query(
            """SELECT m.state, count(*) FROM health_message m JOIN health_interface i
                   ON i.id = m.interface_id WHERE i.code = %s GROUP BY 1""",
            code,
        )
    )


def test_two_hours_without_the_partner() -> None:
    code, port = f"outage-{uuid.uuid4().hex[:8]}", free_port()
    values = {"port": port, "cap": 900 / SCALE, "keys": KEYS, "each": EACH}
    odoo_shell((_SET_UP % values).replace("@", code))
    wait_for(lambda: calls(code) > 0, 30)
    time.sleep(OUTAGE)  # the outage itself, not something that is waited for
    during = calls(code)
    assert set(states(code)) <= {"pending", "waiting"}
    with PartnerStub(http=port) as partner:
        wait_for(lambda: states(code) == {"done": KEYS * EACH}, 90)
    assert during < 60
    arrived = [json.loads(each["body"]) for each in partner.received]
    assert len(partner.received) == len(set(partner.keys())) == KEYS * EACH
    numbers = defaultdict(list)
    for body in arrived:
        numbers[body["key"]].append(body["number"])
    assert all(found == list(range(EACH)) for found in numbers.values())
