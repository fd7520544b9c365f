"""Two Odoo servers on the database of the running system, whose own Odoo rests.

Their job runners send jobs to one port, behind which a small balancer gives them to the
nodes in turn, as before several servers in production.
"""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from live import ROOT, wait_for


class Node:
    """An Odoo of its own ports, with web workers, cron and job runner."""

    def __init__(self, name: str, jobs_port: int) -> None:
        self.port, gevent = free_port(), free_port()
        self._conf = Path(os.environ["HEALTH_CONF"]).with_name(f"{name}.conf")
        conf = configparser.RawConfigParser()
        conf.read(os.environ["HEALTH_CONF"])
        conf["options"].update(http_port=str(self.port), gevent_port=str(gevent))
        conf["queue_job"].update(host="127.0.0.1", port=str(jobs_port))
        descriptor = os.open(self._conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            conf.write(stream)
        self._log = Path(os.environ["HEALTH_LOG_DIR"], f"{name}.log").open("ab")
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [ROOT / "setup/odoo", "-c", self._conf],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        wait_for(self._answers, 60)

    def _answers(self) -> bool:
        with suppress(OSError):
            address = f"http://127.0.0.1:{self.port}/web/health"
            return urllib.request.urlopen(address, timeout=2).status == 200
        return False

    def has(self, pid: str) -> bool:
        """Whether a process is one of this node's."""
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return str(self._conf).encode() in words
        return False

    def kill(self) -> None:
        """All of its processes at once."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def remove(self) -> None:
        self.kill()
        self._log.close()
        self._conf.unlink(missing_ok=True)


class Balancer:
    """Gives connections to the nodes in turn; a node that is gone is passed over."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._nodes: list[Node] = []

    def start(self, nodes: Sequence[Node]) -> None:
        self._nodes = list(nodes)
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._socket.accept()
                threading.Thread(
                    target=self._pass_on, args=(client,), daemon=True
                ).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client:
            for _node in self._nodes:
                self._nodes.append(node := self._nodes.pop(0))
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", node.port), 2)
                    break
            else:
                return
            with server:
                server.settimeout(None)
                back = threading.Thread(target=_copy, args=(server, client))
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
