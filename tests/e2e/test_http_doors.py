"""One table of cases, both servers of the HTTP door; and what several gateways on one
database, and a gateway that dies, may not break."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from gateway_process import Flow, GatewayProcess
from health_connector.lib.accept import payload_aad
from health_connector.lib.keyring import Keyring
from live import ROOT, odoo_shell, query, wait_for


def load_cases():
    """The table, without the package that imports Odoo."""
    path = ROOT / "addons/health_connector/tests/door_cases.py"
    spec = importlib.util.spec_from_file_location("door_cases", path)
    module = sys.modules["door_cases"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


door_cases = load_cases()


@pytest.fixture(scope="module")
def template():
    """The interface that all others are cloned from; its code and its key."""
    code, key = f"door-{uuid.uuid4().hex[:8]}", f"hk_{uuid.uuid4().hex}"
    odoo_shell(f'''
backend = env["health.backend"].create(
    {{"name": "Doors", "code": "{code}", "paused_in": True,
      "pause_reason": "test of the doors"}})
env["health.interface"].create(
    {{"name": "Doors", "code": "{code}", "backend_id": backend.id, "codec": "json",
      "handler": "core.keep", "state": "live", "dedupe_source": "id",
      "order_key_source": "order_no"}})
env["health.secret"].create(
    {{"name": "test", "backend_id": backend.id}})._set_value("{key}")
env.cr.commit()
''')
    return code, key


@pytest.fixture(scope="module")
def gateway():
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def flow(template, gateway):
    made = Flow(*template)
    gateway.settle()
    return made


class LiveDoor:
    """See ``door_cases.Door``."""

    def __init__(self, url, template, gateway=None):
        self.url = url
        self._template = template
        self._gateway = gateway

    def prepare(self, case):
        self.flow = flow = Flow(*self._template)
        flow.set("health_interface", flow.id, case.settings)
        flow.set("health_secret", flow.secret, case.secret)
        flow.set("health_backend", flow.backend, case.backend)
        if self._gateway:
            self._gateway.settle()

    def ask(self, ask):
        headers = {"Content-Type": "application/json", **ask.headers}
        if ask.key:
            key = self.flow.key if ask.key == "right" else "no"
            headers["Authorization"] = f"Bearer {key}"
        code = self.flow.code if ask.known else "no-such-interface"
        answer = requests.request(
            ask.method,
            f"{self.url}/health/in/{code}",
            data=ask.raw,
            headers=headers,
            timeout=30,
        )
        return door_cases.Response(answer.status_code, answer.headers, answer.content)

    def stored(self):
        ring = Keyring.load(os.environ["HEALTH_KEYRING"])
        rows = query(
            """SELECT m.uid, p.key_id, p.sealed FROM health_message m
                 JOIN health_payload p ON p.message_id = m.id
                WHERE m.interface_id = %s ORDER BY m.id""",
            self.flow.id,
        )
        return [
            ring.open(key_id, bytes(sealed), payload_aad(uid, "raw"))
            for uid, key_id, sealed in rows
        ]


@pytest.mark.parametrize("case", door_cases.CASES, ids=str)
@pytest.mark.parametrize("server", ["controller", "gateway"])
def test_what_partners_may_count_on(server, case, template, gateway):
    if server == "controller":
        door = LiveDoor(os.environ["HEALTH_URL"], template)
    else:
        door = LiveDoor(gateway.url, template, gateway)
    door_cases.run(case, door)


def test_what_one_door_stored_is_a_duplicate_at_the_other(flow, gateway):
    """A header with letters beyond ASCII must give the same key at both."""
    headers = {"Idempotency-Key": "Schlüssel".encode()}
    flow.set("health_interface", flow.id, {"dedupe_source": None})
    gateway.settle()
    answers = [
        flow.post(url, {"n": 1}, headers=headers)
        for url in (gateway.url, os.environ["HEALTH_URL"], gateway.url)
    ]
    assert [each.status_code for each in answers] == [202] * 3
    assert len({each.content for each in answers}) == 1
    assert len(flow.message_ids()) == 1


def test_two_gateways_and_odoo_take_in_one_flood_together(flow, gateway):
    """Every message is sent to all three doors at the same time."""
    with GatewayProcess() as second, ThreadPoolExecutor(9) as pool:
        second.settle()
        urls = [gateway.url, second.url, os.environ["HEALTH_URL"]]
        sent = [
            [pool.submit(flow.post, url, {"id": f"m{number}"}) for url in urls]
            for number in range(60)
        ]
        for asked in sent:
            answers = [future.result() for future in asked]
            assert {each.status_code for each in answers} == {202}
            assert len({each.content for each in answers}) == 1, "one answer for all"
    assert len(flow.message_ids()) == 60


def test_a_gateway_killed_between_commit_and_answer_loses_and_doubles_nothing(
    flow, gateway
):
    """The message is stored and its sender has heard nothing: it sends again."""
    heard = []
    with GatewayProcess(never_flushes=True) as doomed:
        doomed.settle()

        def send():
            try:
                heard.append(flow.post(doomed.url, {"id": "m1"}))
            except requests.ConnectionError:
                heard.append(None)

        sender = threading.Thread(target=send)
        sender.start()
        wait_for(flow.message_ids)
        assert not heard, "no answer before the flush"
        doomed.kill()
        sender.join(10)
        assert heard == [None]
    [stored] = flow.message_ids()
    again = flow.post(gateway.url, {"id": "m1"})
    assert (again.status_code, again.json()["id"]) == (202, stored)
    assert flow.message_ids() == [stored]


def test_a_kill_under_load_loses_nothing_that_was_accepted(flow):
    """Senders as partners have them: again until it is accepted."""
    accepted: dict[str, int] = {}
    with GatewayProcess() as first, GatewayProcess() as other:
        first.settle()

        def deliver(name):
            for url in (first.url, other.url):
                try:
                    answer = flow.post(url, {"id": name})
                except requests.ConnectionError:
                    continue
                if answer.status_code == 202:
                    accepted[name] = answer.json()["id"]
                    return
            raise AssertionError(name)

        def lane(number):
            for count in range(60):
                deliver(f"{number}-{count}")

        lanes = [threading.Thread(target=lane, args=(number,)) for number in range(6)]
        for each in lanes:
            each.start()
        wait_for(lambda: len(accepted) > 60)
        first.kill()
        for each in lanes:
            each.join()
    assert len(accepted) == 360
    assert sorted(accepted.values()) == flow.message_ids()


def test_a_clean_stop_answers_what_is_in_work(flow):
    with GatewayProcess() as process, ThreadPoolExecutor(8) as pool:
        process.settle()
        sent = [
            pool.submit(flow.post, process.url, {"id": f"m{number}"})
            for number in range(200)
        ]
        wait_for(lambda: sum(each.done() for each in sent) > 20)
        assert process.stop() == 0
        answers = [each for each in sent if not each.exception()]
    accepted = [each.result().json()["id"] for each in answers]
    assert sorted(accepted) == flow.message_ids(), "stored means answered"


def test_one_limit_holds_for_all_doors_together(flow, gateway):
    rate, burst = 5, 20
    limit = {"rate_in": rate, "rate_in_burst": burst}
    flow.set("health_backend", flow.backend, limit)
    with GatewayProcess() as second, ThreadPoolExecutor(6) as pool:
        gateway.settle()
        second.settle()
        urls = [gateway.url, second.url, os.environ["HEALTH_URL"]]
        begun = time.monotonic()
        sent = [
            pool.submit(flow.post, urls[number % 3], {"id": f"m{number}"})
            for number in range(300)
        ]
        answers = [each.result() for each in sent]
        seconds = time.monotonic() - begun
    let_in = sum(each.status_code == 202 for each in answers)
    late = [each for each in answers if each.status_code == 429]
    assert len(answers) == let_in + len(late)
    assert late and all(int(each.headers["Retry-After"]) >= 1 for each in late)
    assert burst * 0.5 <= let_in <= burst + rate * seconds + 1
    assert len(flow.message_ids()) == let_in
