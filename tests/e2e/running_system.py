"""What the traffic scripts ask and tell a running Odoo, by its own API."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from typing import Any

import requests
from lab_messages import Order

DEMO_ORDERS = [("placer_number", "=like", "LAB-0000__")]
MLLP_INTERFACE, HTTP_INTERFACE = "northlab-oru", "northlab-oru-http"
OURS = [("interface_id.code", "in", [MLLP_INTERFACE, HTTP_INTERFACE])]
IN_MOTION = ["pending", "processing", "waiting"]
FINAL = ("done", "ignored", "parked")
#: seconds within which everything that was accepted must have been processed
PATIENCE = 180
#: seconds to wait for one answer
DUE = 30.0


class OdooApi:
    """A logged-in session of the web client."""

    def __init__(self, url: str, database: str, login: str, password: str) -> None:
        self._url = url
        self._session = requests.Session()
        self.uid = self._post(
            "/web/session/authenticate",
            {"db": database, "login": login, "password": password},
        )["uid"]

    def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self._post(f"/web/dataset/call_kw/{model}/{method}", params)

    def rows(self, model: str, domain: list, fields: list[str], **kwargs) -> list[dict]:
        return self.call(model, "search_read", domain, fields, **kwargs)

    def _post(self, path: str, params: dict) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        response = self._session.post(
            self._url + path,
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=DUE,
        )
        response.raise_for_status()
        answer = response.json()
        if "error" in answer:
            message = answer["error"].get("data", {}).get("message")
            raise RuntimeError(f"{path}: {message or answer['error']['message']}")
        return answer.get("result")  # left out when it is nothing


def settings() -> dict[str, str]:
    env = os.environ.get
    port = env("HEALTH_HTTP_PORT", "8069")
    return {
        "url": env("HEALTH_URL", f"http://127.0.0.1:{port}"),
        "database": env("HEALTH_DB", "health_demo"),
        "login": env("HEALTH_ADMIN_LOGIN", "admin"),
        "password": env("HEALTH_ADMIN_PASSWORD", "admin"),
    }


def mllp_address() -> tuple[str, int]:
    env = os.environ.get
    return env("HEALTH_MLLP_HOST", "127.0.0.1"), int(env("HEALTH_MLLP_PORT", "2575"))


def demo_orders(api: OdooApi) -> list[Order]:
    """The demo orders with their patients' numbers and their tests."""
    fields = ["placer_number", "partner_id", "clinic_id"]
    rows = api.rows(
        "health.lab.order", DEMO_ORDERS, fields, order="placer_number", limit=60
    )
    numbers = {
        row["partner_id"][0]: row["value"]
        for row in api.rows(
            "health.identifier",
            [("system", "=", "HEALTHGROUP"), ("type", "=", "MR")],
            ["partner_id", "value"],
        )
    }
    clinics = {
        row["id"]: row["code"] for row in api.rows("health.clinic", [], ["code"])
    }
    tests = defaultdict(list)
    ordered = [("order_id.placer_number", "=like", "LAB-0000__")]
    ordered += [("added_by_lab", "=", False)]
    for line in api.rows("health.lab.order.line", ordered, ["order_id", "code"]):
        tests[line["order_id"][0]].append(line["code"])
    return [
        Order(
            row["placer_number"],
            numbers[row["partner_id"][0]],
            clinics[row["clinic_id"][0]],
            tuple(tests[row["id"]]),
        )
        for row in rows
    ]


def make_key(api: OdooApi) -> tuple[int, str]:
    """A bearer key of our own for the HTTP door; shown once, revoked at the end."""
    (interface,) = api.rows(
        "health.interface", [("code", "=", HTTP_INTERFACE)], ["backend_id"]
    )
    values = {"name": "Demo traffic", "backend_id": interface["backend_id"][0]}
    secret_id = api.call("health.secret", "create", values)
    shown = api.call("health.secret", "action_generate", [secret_id])
    return secret_id, shown["params"]["message"]


def newest_message(api: OdooApi) -> int:
    rows = api.rows("health.message", [], ["id"], order="id desc", limit=1)
    return rows[0]["id"] if rows else 0


def settle(api: OdooApi, since: int) -> dict[str, int]:
    """Wait until nothing more can be processed; the newer messages by state.

    What is left in motion then waits behind a parked message of its order.
    """
    deadline = time.monotonic() + PATIENCE
    while (stuck := _in_motion(api) - _behind(api)) > 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{stuck} messages not processed in {PATIENCE} s")
        time.sleep(0.2)
    new = ("id", ">", since)
    states = {state: _count(api, new, ("state", "=", state)) for state in FINAL}
    return {**states, "behind": _in_motion(api, new)}


def _count(api: OdooApi, *domain: tuple) -> int:
    return api.call("health.message", "search_count", [*OURS, *domain])


def _in_motion(api: OdooApi, *domain: tuple) -> int:
    return _count(api, ("state", "in", IN_MOTION), *domain)


def _behind(api: OdooApi) -> int:
    parked = [*OURS, ("state", "=", "parked")]
    return sum(row["behind"] for row in api.rows("health.message", parked, ["behind"]))
