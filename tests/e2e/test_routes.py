"""Routes at every door of the running system: one message, several interfaces."""

import json
import os
import urllib.error
import urllib.request
import uuid

import pytest
from live import MllpPeer, ack_code, bearer_key, odoo_shell, query, wait_for

CODE = f"route-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def key():
    """A backend with an HL7 and a JSON entry, each with a route for urgent ones."""
    odoo_shell(
        f"""
backend = env["health.backend"].create({{"name": "Routes", "code": "{CODE}"}})

def interface(code, codec, **values):
    return env["health.interface"].create({{
        "name": code, "code": code, "backend_id": backend.id, "codec": codec,
        "handler": "core.keep", "state": "live", **values}})

def route(entry, target, source, value):
    env["health.route"].create({{
        "entry_id": entry.id, "target_id": target.id,
        "condition_ids": [(0, 0, {{
            "source": source, "operator": "in", "values": value}})]}})

hl7 = interface("{CODE}-http", "hl7v2")
route(hl7, interface("{CODE}-hl7", "hl7v2"), "OBR-5", "S,STAT")
entry = interface("{CODE}-json", "json", dedupe_source="id")
route(entry, interface("{CODE}-copy", "json"), "kind", "urgent")
env.cr.commit()
"""
    )
    return bearer_key(CODE)


def post(base, code, body, key, kind):
    request = urllib.request.Request(
        f"{base}/health/in/{code}",
        body,
        {"Authorization": f"Bearer {key}", "Content-Type": kind},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["id"]


def fed(message_id):
    """Codes of the interfaces that got a copy."""
    rows = query(
        """SELECT i.code FROM health_message m
             JOIN health_interface i ON i.id = m.interface_id
            WHERE m.origin_id = %s""",
        message_id,
    )
    return [row[0] for row in rows]


def oru(priority):
    number = uuid.uuid4().hex[:12]
    return (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|2026||ORU^R01^ORU_R01|{number}|P|2.5.1\r"
        f"PID|1||MRN1^^^HOSP^MR\rOBR|1|O{number}|||{priority}\rOBX|1|ST|1||x\r"
    ).encode()


DOORS = {
    "odoo": os.environ["HEALTH_URL"],
    "gateway": f"http://127.0.0.1:{os.environ['HEALTH_GATEWAY_PORT']}",
}


def hl7(urgent):
    return "http", oru("S" if urgent else "R"), "application/hl7-v2"


def plain_json(urgent):
    body = {"id": uuid.uuid4().hex, "kind": "urgent" if urgent else "plain"}
    return "json", json.dumps(body).encode(), "application/json"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("make", "target"), [(hl7, "hl7"), (plain_json, "copy")])
def test_http_doors_route_alike(door, make, target, key):
    code, body, kind = make(urgent=True)
    request = DOORS[door], f"{CODE}-{code}", body, key, kind
    # the gateway reads its settings every few seconds
    taken = wait_for(lambda: _try(*request))
    assert fed(taken) == [f"{CODE}-{target}"]
    assert post(*request) == taken, "a duplicate"
    assert len(fed(taken)) == 1, "makes no second copy"
    code, body, kind = make(urgent=False)
    assert fed(post(DOORS[door], f"{CODE}-{code}", body, key, kind)) == []


def _try(*request):
    try:
        return post(*request)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return None
        raise


def test_the_mllp_listener_routes(key):
    lab = query(
        """SELECT id FROM health_interface WHERE transport = 'mllp' AND state = 'live'
              AND message_types LIKE '%%ORU%%' AND mllp_port = 2575 LIMIT 1"""
    )[0][0]
    odoo_shell(
        f"""
lab = env["health.interface"].browse({lab})
copy = lab.copy({{"code": "{CODE}-lab", "name": "copy", "transport": "http",
                  "handler": "core.keep", "state": "live"}})
env["health.route"].create({{"entry_id": lab.id, "target_id": copy.id,
    "condition_ids": [(0, 0, {{
        "source": "OBR-5", "operator": "equals", "values": "{CODE}"}})]}})
env.cr.commit()
"""
    )

    def copied():
        message = oru(CODE)
        number = message.split(b"|")[9].decode()
        with MllpPeer() as peer:
            assert ack_code(peer.ask(message)) == "AA"
        rows = query("SELECT id FROM health_message WHERE external_ref = %s", number)
        first = min(row[0] for row in rows)
        return fed(first) == [f"{CODE}-lab"]

    wait_for(copied, 20)
    with MllpPeer() as peer:
        message = oru("R")
        assert ack_code(peer.ask(message)) == "AA"
    number = message.split(b"|")[9].decode()
    assert (
        len(query("SELECT 1 FROM health_message WHERE external_ref = %s", number)) == 1
    )
