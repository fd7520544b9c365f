"""An Odoo of its own for a figure: the running system's database and key ring, with
the bench addons on the path."""

from __future__ import annotations

import configparser
import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDONS = Path(__file__).resolve().parent / "addons"
START_SECONDS = 60
# the variable wins over the configuration file
ENVIRON = {**os.environ, "ODOO_ADDONS_PATH": f"{ROOT / 'addons'},{ADDONS}"}


@contextlib.contextmanager
def odoo_server(install: str):
    """Install an addon, serve with three workers, yield the base address."""
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "odoo.conf"
        port = _write_conf(conf)
        _odoo(conf, "-i", install, "--stop-after-init", "--no-http")
        process = subprocess.Popen(
            [ROOT / "setup" / "odoo", "-c", conf, "--max-cron-threads=0"],
            env=ENVIRON,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _wait(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait(30)


def _write_conf(conf: Path) -> int:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(os.environ["HEALTH_CONF"])
    options = parser["options"]
    port = _free_port()
    options["addons_path"] = ENVIRON["ODOO_ADDONS_PATH"]
    options["http_port"] = str(port)
    options["gevent_port"] = str(_free_port())
    options["workers"] = "3"
    options["logfile"] = str(conf.with_suffix(".log"))
    # jobs stay with the running system
    parser["queue_job"] = {"channels": "root:0"}
    with open(conf, "w", encoding="utf-8") as stream:
        parser.write(stream)
    return port


def _odoo(conf: Path, *arguments: str) -> None:
    subprocess.run(
        [ROOT / "setup" / "odoo", "-c", conf, *arguments],
        check=True,
        env=ENVIRON,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: str, process: subprocess.Popen) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{url}/web/health", timeout=5).close()
            return url
        time.sleep(0.1)
    raise RuntimeError("the bench server did not start")
