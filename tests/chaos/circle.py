"""The way out of a kill test: what was applied to an order is told to a partner, a
process of its own that misbehaves at random and keeps a ledger of its own.

An automation rule tells of each order once in every transaction that has changed it. So
the partner has to hear as often as the journal has transactions of that order, each
time with a key of its own, in order, and each key with the same bytes on every try.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from chaos.plan import Unit
from live import ROOT, odoo_shell, query

#: share of each fault of the partner; one in sixteen messages meets one
FAULTS = "ok=94,500=1,503=1,reset=1,lost=1,garbage=1,half-close=1"

_SET_UP = """
model = env["ir.model"]._get("health.lab.order")
backend = env["health.backend"].create({
    "name": "Kill test", "code": "@-partner", "http_url": "%s",
    "connect_timeout": 2, "read_timeout": 3})
mapping = env["health.mapping"].create({
    "name": "@", "codec": "record", "model_id": model.id, "line_ids": [
        (0, 0, {"target": "number", "source": "placer_number",
                "data_class": "identifier"}),
        (0, 0, {"target": "state", "source": "state"})]})
interface = env["health.interface"].create({
    "name": "Kill test", "code": "@-out", "backend_id": backend.id,
    "direction": "out", "codec": "json", "mapping_id": mapping.id,
    "handler": "core.record", "path": "in", "repeat_safe": True, "state": "live"})
env["base.automation"].create({
    "name": "@", "model_id": model.id, "trigger": "on_create_or_write",
    "filter_domain": "[('placer_number', '=like', '@-%%')]",
    "action_server_ids": [(0, 0, {
        "name": "Tell", "state": "health_emit", "usage": "base_automation",
        "model_id": model.id, "health_interface_id": interface.id})]})
env.cr.commit()
env.registry.signal_changes()
"""
_CLEAN_UP = """
env["base.automation"].search([("name", "=", "@")]).unlink()
env["health.interface"].search([("code", "=", "@-out")]).state = "suspended"
env.cr.commit()
"""


class Circle:
    """The partner's process and the rule that feeds it."""

    def __init__(self, run: str, folder: Path, seed: int) -> None:
        self._run, self._ledger = run, folder / "partner.jsonl"
        command = [sys.executable, ROOT / "tests/partner_stub.py"]
        command += ["--ledger", self._ledger, "--faults", FAULTS, "--seed", str(seed)]
        self._partner = subprocess.Popen(
            [*command, "--delay", "4"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        port = self._partner.stdout.readline().split()[1]
        script = _SET_UP % f"http://127.0.0.1:{port}"
        odoo_shell(script.replace("@", run))

    def end(self) -> None:
        odoo_shell(_CLEAN_UP.replace("@", self._run))
        self._partner.terminate()
        self._partner.wait()

    def settled(self) -> bool:
        """Nothing waits to be sent, and no call is left in doubt."""
        return not query(
            """SELECT 1 FROM health_message m JOIN health_interface i
                   ON i.id = m.interface_id
                WHERE i.code = %s AND m.state IN
                      ('pending', 'processing', 'waiting', 'unknown') LIMIT 1""",
            f"{self._run}-out",
        )

    def problems(self, units: list[Unit], changes: dict[str, int]) -> list[str]:
        """What the partner heard, beside what was sent and what has changed.

        :param changes: transactions that changed an order, by its number
        """
        heard = [json.loads(line) for line in self._ledger.read_text().splitlines()]
        return [
            *self._keys(heard),
            *self._delivered(heard),
            *self._by_order(heard, units, changes),
        ]

    def _keys(self, heard: list[dict]):
        """A message has the same bytes on every try."""
        bodies = defaultdict(set)
        for entry in heard:
            bodies[entry["key"]].add(entry["body"])
        yield from (f"{key}: other bytes" for key in bodies if len(bodies[key]) > 1)

    def _delivered(self, heard: list[dict]):
        """Done is what the partner has done its work for, and nothing else."""
        worked = {entry["key"] for entry in heard if entry["works"]}
        rows = query(
            """SELECT m.uid, m.state FROM health_message m JOIN health_interface i
                   ON i.id = m.interface_id WHERE i.code = %s""",
            f"{self._run}-out",
        )
        for uid, state in rows:
            if state != "done" or uid not in worked:
                yield f"{uid}: {state}, {'' if uid in worked else 'not '}delivered"
        if strangers := worked - {uid for uid, _state in rows}:
            yield f"of nobody: {len(strangers)}"

    def _by_order(self, heard, units, changes):
        """As often as the order has changed, and the last state last."""
        told: dict[str, dict[str, str]] = defaultdict(dict)
        for entry in heard:
            body = json.loads(base64.b64decode(entry["body"]))
            if entry["works"]:
                told[body["number"]].setdefault(entry["key"], body["state"])
        last = {unit.order: unit.last for unit in units if unit.last}
        for order, state in last.items():
            states = list(told[order].values())
            if len(states) != changes.get(order):
                yield f"{order}: told {states}, {changes.get(order)} changes"
            if not states or states[-1] != state:
                yield f"{order}: told {states}, at last {state}"
