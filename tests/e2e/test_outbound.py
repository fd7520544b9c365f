"""A change in Odoo reaches a partner through a running system: automation rule, outbox
row, wake-up, job runner, channel, HTTP."""

import time
import uuid

import pytest
from live import odoo_shell, query, wait_for
from partner_stub import PartnerStub

SET_UP = """
model = env["ir.model"]._get("res.partner")
backend = env["health.backend"].create({
    "name": "E2E partner", "code": "e2e-@", "http_url": "%(url)s",
    "connect_timeout": 2, "read_timeout": 2})
mapping = env["health.mapping"].create({
    "name": "e2e-@", "codec": "record", "model_id": model.id, "line_ids": [
        (0, 0, {"target": "number", "source": "ref", "data_class": "identifier"}),
        (0, 0, {"target": "name", "source": "name"})]})
interface = env["health.interface"].create({
    "name": "E2E events", "code": "e2e-@", "backend_id": backend.id,
    "direction": "out", "codec": "json", "mapping_id": mapping.id,
    "handler": "core.record", "path": "in", "repeat_safe": True, "state": "live"})
env["base.automation"].create({
    "name": "e2e-@", "model_id": model.id, "trigger": "on_create_or_write",
    "filter_domain": "[('ref', '=like', '@-%%')]",
    "action_server_ids": [(0, 0, {
        "name": "Send", "state": "health_emit", "usage": "base_automation",
        "model_id": model.id, "health_interface_id": interface.id})]})
env.cr.commit()
"""
MAKE = """
env["res.partner"].create([
    {"name": "P%%d" %% n, "ref": "@-%%d" %% n} for n in range(%(count)d)])
env.cr.commit()
"""
CLEAN_UP = """
env["base.automation"].search([("name", "=", "e2e-@")]).unlink()
env.cr.commit()
"""


@pytest.fixture(scope="module")
def partner():
    mark = uuid.uuid4().hex[:8]
    with PartnerStub() as stub:
        stub.mark = mark
        shell(SET_UP, mark, url=stub.url)
        yield stub
        shell(CLEAN_UP.replace("%", "%%"), mark)


def shell(script, mark, **values):
    odoo_shell((script % values).replace("@", mark))


def states(partner):
    return dict(
        query(
            """SELECT m.state, count(*) FROM health_message m
                 JOIN health_interface i ON i.id = m.interface_id
                WHERE i.code = %s GROUP BY m.state""",
            f"e2e-{partner.mark}",
        )
    )


def test_changes_reach_the_partner_once_whatever_it_does(partner):
    count = 40
    # never many in a row: the breaker is not what is looked at here
    for fault in ["reset", "503", "500", "lost", "garbage"] * 2:
        partner.faults.extend([fault, "ok"])
    shell(MAKE, partner.mark, count=count)
    wait_for(lambda: set(states(partner)) == {"done"}, 120)
    assert states(partner) == {"done": count}
    assert len(partner.effects) == count
    keys = partner.keys()
    assert len(set(keys)) == count
    bodies = {}
    for each in partner.received:
        bodies.setdefault(each["key"], set()).add(each["body"])
    assert all(len(found) == 1 for found in bodies.values())


def test_a_change_is_on_its_way_at_once(partner):
    """The wake-up after the commit, not the sweep of every minute, brings it."""
    before, started = len(partner.received), time.time()
    shell(MAKE, partner.mark, count=1)
    assert partner.wait_for(before + 1, 30)
    assert partner.received[-1]["at"] - started < 30
