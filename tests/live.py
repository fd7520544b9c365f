"""Helpers for tests on the running system (``HEALTH_…`` variables, see setup/stack)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[1]
START, END = b"\x0b", b"\x1c\r"


def database() -> psycopg2.extensions.connection:
    """The running system's database; each statement is its own transaction."""
    connection = psycopg2.connect(os.environ["HEALTH_PG_DSN"])
    connection.autocommit = True
    return connection


def query(sql: str, *params) -> list[tuple]:
    """Rows of one statement."""
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def odoo_shell(script: str) -> str:
    """Run Python with ``env`` in an Odoo of its own; commit inside if needed."""
    done = subprocess.run(
        [ROOT / "setup/odoo", "shell", "-c", os.environ["HEALTH_CONF"], "--no-http"],
        input=script,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def bearer_key(backend_code: str) -> str:
    """A fresh inbound key of a backend."""
    key = f"hk_{uuid.uuid4().hex}"
    odoo_shell(
        f"""
backend = env["health.backend"].search([("code", "=", "{backend_code}")])
env["health.secret"].create(
    {{"name": "test", "backend_id": backend.id}})._set_value("{key}")
env.cr.commit()
"""
    )
    return key


def wait_for(condition: Callable[[], object], seconds: float = 60) -> object:
    """The first true answer of ``condition``; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {condition}")


def drained() -> bool:
    """Whether no message that came in waits for the drain. Those of a paused backend
    or an interface that is not live do not count, nor those behind a parked one: they
    wait for a person."""
    return not query(
        """SELECT 1 FROM health_message m
             JOIN health_interface i ON i.id = m.interface_id
             JOIN health_backend b ON b.id = m.backend_id
            WHERE i.state = 'live' AND b.active AND NOT COALESCE(b.paused_in, false)
              AND m.direction = 'in'
              AND (m.state IN ('pending', 'processing')
                   OR m.state = 'waiting' AND m.next_try_at < '9999-01-01')
            LIMIT 1"""
    )


def logs() -> str:
    """Everything the running system's processes have logged."""
    folder = Path(os.environ["HEALTH_LOG_DIR"])
    return "".join(
        path.read_text("utf-8", "replace") for path in sorted(folder.glob("*.log"))
    )


class MllpPeer:
    """A plain partner: one connection to the listener."""

    def __init__(self, timeout: float = 10.0) -> None:
        port = int(os.environ["HEALTH_MLLP_PORT"])
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = b""

    def __enter__(self) -> MllpPeer:
        return self

    def __exit__(self, *_exc) -> None:
        self._socket.close()

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, message: bytes) -> None:
        self.send_raw(START + message + END)

    def answer(self) -> bytes | None:
        """The next frame's content; None when the listener closes."""
        while END not in self._buffer:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._buffer += data
        frame, _end, self._buffer = self._buffer.partition(END)
        return frame.removeprefix(START)

    def ask(self, message: bytes) -> bytes | None:
        self.send(message)
        return self.answer()


def ack_code(answer: bytes | None) -> str:
    """MSA-1 of an answer; "closed" when there was none."""
    if answer is None:
        return "closed"
    for segment in answer.split(b"\r"):
        if segment.startswith(b"MSA"):
            return segment[4:6].decode()
    return "none"


def samples() -> Iterator[Path]:
    """Own HL7 v2 samples, and the larger corpus where it is."""
    yield from sorted((ROOT / "tests/samples/hl7v2").glob("*.hl7"))
    yield from sorted((ROOT.parent / "shared/data/hl7v2").rglob("*.hl7"))
