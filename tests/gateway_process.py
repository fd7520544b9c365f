"""A gateway of its own on the running system's database, and its HTTP door."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import requests
from live import ROOT, query

STRAIGHT = """
import sys, time
sys.path.insert(0, {tests!r})
import conftest
from health_connector.lib import gateway, pg_store
from health_connector.lib.http_server import HttpPart
from health_connector.lib.peek import peek_json

def never(link):
    time.sleep(3600)

pg_store.Link.flush = never
options = gateway.Options({{"dsn": {dsn!r}}}, {keyring!r}, refresh=0.1)
gateway.run(options, [HttpPart({{"json": peek_json}}, {{}}, {port})])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class GatewayProcess:
    """``odoo health_gateway`` with ports of its own, and settings read at once.

    :param never_flushes: it commits, and then never gets to answering
    """

    def __init__(self, never_flushes: bool = False) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.mkstemp(prefix="gateway-", suffix=".log")[1])
        command = self._blocked() if never_flushes else self._command()
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "ODOO_RC": os.environ["HEALTH_CONF"]},
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("w"),
        )

    def __enter__(self) -> GatewayProcess:
        deadline = time.monotonic() + 30
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.unlink()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def settle(self) -> None:
        """Wait until settings were read that are as they are now."""
        first = self._reads()
        deadline = time.monotonic() + 20
        # the next reading may have begun before now; the one after it has not
        while self._reads() < first + 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def _reads(self) -> int:
        return requests.get(f"{self.url}/health/ready", timeout=5).json()["reads"]

    def _command(self) -> list:
        command = [ROOT / "setup" / "odoo", "health_gateway", "--refresh", "0.1"]
        command += ["-c", os.environ["HEALTH_CONF"], "-d", os.environ["HEALTH_DB"]]
        return [*command, "--http-port", self.port, "--mllp-port", free_port()]

    def _blocked(self) -> list:
        script = STRAIGHT.format(
            tests=str(ROOT / "tests"),
            dsn=os.environ["HEALTH_PG_DSN"],
            keyring=os.environ["HEALTH_KEYRING"],
            port=self.port,
        )
        return [ROOT / "setup" / "python", "-c", script]


class Flow:
    """A live JSON interface with a key of its own, on a backend whose drain is paused:
    cloned with SQL from one that Odoo made, so that a test can have it at once."""

    def __init__(self, template: str, key: str, **settings: object) -> None:
        self.key = key
        self.code = f"t-{uuid.uuid4().hex[:10]}"
        [(like, backend)] = query(
            "SELECT id, backend_id FROM health_interface WHERE code = %s", template
        )
        self.backend = _clone("health_backend", backend, code=self.code)
        query(
            "INSERT INTO health_backend_state (backend_id) VALUES (%s) RETURNING id",
            self.backend,
        )
        [(secret,)] = query(
            "SELECT id FROM health_secret WHERE backend_id = %s", backend
        )
        self.secret = _clone("health_secret", secret, backend_id=self.backend)
        self.id = _clone(
            "health_interface", like, code=self.code, backend_id=self.backend
        )
        self.set("health_interface", self.id, settings)

    def set(self, table: str, row: int, values: dict) -> None:
        for name, value in values.items():
            query(
                f'UPDATE {table} SET "{name}" = %s WHERE id = %s RETURNING 1',
                value,
                row,
            )

    def post(self, url: str, content: object, **more: object) -> requests.Response:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return requests.post(
            f"{url}/health/in/{self.code}",
            data=raw,
            headers=headers,
            timeout=30,
            **more,
        )

    def message_ids(self) -> list[int]:
        rows = query(
            "SELECT id FROM health_message WHERE interface_id = %s ORDER BY id", self.id
        )
        return [row[0] for row in rows]


def _clone(table: str, row: int, **values: object) -> int:
    """Copy a row with other values; returns its id."""
    [(created,)] = query(
        f"""INSERT INTO {table} SELECT (jsonb_populate_record(t, %s::jsonb
                || jsonb_build_object('id', nextval('{table}_id_seq')))).*
              FROM {table} t WHERE id = %s RETURNING id""",
        json.dumps(values),
        row,
    )
    return created
