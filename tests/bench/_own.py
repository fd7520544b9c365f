"""A database of its own for a figure, and Odoo on it: nothing of the running system
takes part."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from _bench import ROOT, wait_for

FOLDER = Path(__file__).resolve().parent
ADDONS = FOLDER / "addons"
TIMEOUT = 900


@contextlib.contextmanager
def own_database(name: str, *folders: Path) -> Iterator[Path]:
    """A clone of the prepared database; the ``HEALTH_…`` variables name it meanwhile.

    :param folders: put on the addons path
    :return: its configuration file
    """
    kept = {key: os.environ[key] for key in ("HEALTH_CONF", "HEALTH_PG_DSN")}
    conf = Path(_bench_db("up", name, *map(str, folders)).splitlines()[-1])
    dsn = re.sub(
        r"dbname=\S+", f"dbname={_options(conf)['db_name']}", kept["HEALTH_PG_DSN"]
    )
    os.environ.update(HEALTH_CONF=str(conf), HEALTH_PG_DSN=dsn)
    try:
        yield conf
    finally:
        os.environ.update(kept)
        _bench_db("down", name)


def _bench_db(*arguments: str) -> str:
    script = ROOT / "setup/bench-db"
    done = subprocess.run(
        [script, *arguments], check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout


def _options(conf: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(conf)
    return parser["options"]


def _environ(conf: Path) -> dict[str, str]:
    """The variable wins over the configuration file."""
    return {**os.environ, "ODOO_ADDONS_PATH": _options(conf)["addons_path"]}


def install(conf: Path, addon: str) -> None:
    """Install an addon that is on the path."""
    _odoo(conf, "-c", conf, "-i", addon, "--stop-after-init", "--no-http")


@contextlib.contextmanager
def own_server(conf: Path) -> Iterator[str]:
    """Odoo with three workers and two job slots; the base address."""
    url = f"http://127.0.0.1:{_options(conf)['http_port']}"
    command = [ROOT / "setup/odoo", "-c", conf, f"--logfile={conf.with_suffix('.log')}"]
    process = subprocess.Popen(
        command,
        env=_environ(conf),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError("the bench server did not start")
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{url}/web/health", timeout=5).close()
            return True
        return False

    try:
        wait_for(answers, 60)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def measure(call: str, *arguments: object) -> list[list[float]]:
    """Run a function of ``_in_process.py`` in an Odoo of its own.

    :return: the numbers of each line that it measured
    """
    given = "".join(f", {argument!r}" for argument in arguments)
    script = f"""
import sys
sys.path.insert(0, {str(FOLDER)!r})
import _in_process
_in_process.{call}(env{given})
"""
    answer = shell(script)
    return [
        [float(word) for word in line.split("MEASURED ")[1].split()]
        for line in answer.splitlines()
        if "MEASURED " in line
    ]


def shell(script: str) -> str:
    """Run Python with ``env`` in an Odoo of its own; what it printed."""
    conf = Path(os.environ["HEALTH_CONF"])
    return _odoo(conf, "shell", "-c", conf, "--no-http", script=script)


def _odoo(conf: Path, *arguments: object, script: str = "") -> str:
    done = subprocess.run(
        [ROOT / "setup/odoo", *arguments],
        env=_environ(conf),
        input=script,
        text=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout
