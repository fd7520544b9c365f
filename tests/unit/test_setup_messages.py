"""What the scripts of setup/ say when something is missing.

Every message is one line on standard error that names what to do, and the script
ends with a non-zero status. The scripts run for real, in folders of the test.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "setup"


@pytest.fixture
def clean_env(tmp_path):
    """The environment of a user who has set nothing, with an empty cache."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "HEALTH_", "ODOO"))
    }
    env["HEALTH_CACHE"] = str(tmp_path / "cache")
    env["HEALTH_STATE"] = str(tmp_path / "state")
    return env


@pytest.fixture
def built_env(clean_env):
    """The same, with the environment that runs this test as its cache."""
    odoo = {"ODOO": os.environ["ODOO"]} if os.environ.get("ODOO") else {}
    return {**clean_env, **odoo, "HEALTH_CACHE": str(Path(sys.prefix).parent)}


@pytest.fixture
def programs(tmp_path):
    """A PATH folder with the machine's programs, to take some away or add one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for source in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(source).iterdir():
            target = folder / program.name
            if not target.is_symlink():
                target.symlink_to(program)
    return folder


def put_program(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def run_bash(script: str, env: dict[str, str]) -> subprocess.CompletedProcess:
    command = ["/bin/bash", "-c", script]
    return subprocess.run(
        command, cwd=SETUP, env=env, capture_output=True, text=True, timeout=60
    )


def refused(script: str, env: dict[str, str]) -> str:
    """Runs a script that must fail; the one line of its error."""
    run = run_bash(script, env)
    assert run.returncode != 0
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.stderr
    return errors[0]


def test_no_apt(clean_env, programs):
    for name in ("apt-get", "dpkg"):
        (programs / name).unlink(missing_ok=True)
    message = refused("./env.sh", {**clean_env, "PATH": str(programs)})
    assert "no apt here" in message
    assert "ODOO=" in message


def test_missing_program_without_apt(clean_env, programs):
    for name in ("apt-get", "shellcheck"):
        (programs / name).unlink(missing_ok=True)
    need = "source ./lib.sh; require_packages shellcheck=shellcheck"
    message = refused(need, {**clean_env, "PATH": str(programs)})
    assert "missing shellcheck and no apt-get here" in message


def test_wrong_odoo_version(clean_env, tmp_path):
    release = tmp_path / "checkout" / "odoo" / "release.py"
    release.parent.mkdir(parents=True)
    release.write_text("version_info = (18, 0, 0, 'final', 0, '')\n")
    message = refused("./env.sh", {**clean_env, "ODOO": str(tmp_path / "checkout")})
    assert "needs Odoo 19.0, found 18.0" in message


def test_odoo_that_is_not_there(clean_env):
    message = refused("./env.sh", {**clean_env, "ODOO": "/nowhere/odoo"})
    assert "ODOO=/nowhere/odoo: no such script or folder" in message


@pytest.mark.parametrize("version", ["3 9", "3 14"])
def test_python_out_of_range(clean_env, tmp_path, version):
    python = put_program(tmp_path, "python-fake", f"echo '{version}'")
    message = refused("./env.sh", {**clean_env, "HEALTH_PYTHON": str(python)})
    assert f"needs Python 3.10 to 3.13, found {version.replace(' ', '.')}" in message
    assert "HEALTH_PYTHON=" in message


def test_disk_full(clean_env, programs):
    put_program(programs, "df", "echo head; echo /dev/sda1 100 99 1 99% /")
    message = refused("./env.sh", {**clean_env, "PATH": str(programs)})
    assert "disk full" in message
    assert "HEALTH_CACHE" in message


PORTS = [f"HEALTH_{name}_PORT" for name in ("HTTP", "GEVENT", "MLLP", "GATEWAY")]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("variable", PORTS)
def test_port_taken(built_env, variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {**built_env, **dict.fromkeys(PORTS, free_port()), variable: port}
        message = refused("./demo.sh", env)
    assert f"port {port} is taken" in message
    assert f"{variable}=" in message


def test_database_server_out_of_reach(built_env):
    env = {**built_env, "PGHOST": "127.0.0.1", "PGPORT": free_port()}
    message = refused("./postgres.sh start", env)
    assert "cannot reach PostgreSQL at 127.0.0.1" in message
    assert "PG* variables" in message


def test_state_folder_with_too_long_a_name(built_env, tmp_path):
    env = {**built_env, "HEALTH_STATE": str(tmp_path / ("x" * 100))}
    message = refused("./postgres.sh start", env)
    assert "too long" in message
    assert "HEALTH_STATE" in message


def test_unknown_part_of_the_tests(built_env):
    message = refused("./test.sh", {**built_env, "ONLY": "nothing"})
    assert "ONLY=nothing is no part of the tests" in message


def test_stop_leaves_a_stranger_alone(built_env):
    """A pid file whose process ended may name a pid that somebody else got."""
    stranger = subprocess.Popen([shutil.which("sleep"), "60"])
    try:
        stack = Path(built_env["HEALTH_STATE"], "stack", "demo")
        stack.mkdir(parents=True)
        (stack / "odoo.pid").write_text(f"{stranger.pid} 12345\n")
        run = run_bash("./stop.sh", built_env)
        assert run.returncode == 0, run.stderr
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
