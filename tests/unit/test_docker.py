"""What can be said about docker/ without an engine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ["docker/Dockerfile", "docker/partner/Dockerfile"]


def compose_clients() -> list[list[str]]:
    """The commands of this machine that understand a compose file."""
    clients = [["docker", "compose"], ["docker-compose"]]
    found = [client for client in clients if shutil.which(client[0])]
    return [
        client
        for client in found
        if subprocess.run([*client, "version"], capture_output=True).returncode == 0
    ]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_copied_path_exists(dockerfile):
    copies = re.findall(r"^COPY (.+) \S+$", (ROOT / dockerfile).read_text(), re.M)
    assert copies
    for source in " ".join(copies).split():
        assert (ROOT / source).exists(), source


def test_the_partner_uses_the_pinned_library():
    pin = re.search(
        r"^hl7==\S+$", (ROOT / "requirements-dev.txt").read_text(), re.M
    ).group()
    assert pin in (ROOT / "docker/partner/Dockerfile").read_text()


def test_every_service_is_built_or_pulled():
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
    for name, service in compose["services"].items():
        built = service.get("build", {}).get("dockerfile")
        assert built in DOCKERFILES or service.get("image"), name


def test_the_compose_clients_of_this_machine_accept_the_file():
    for client in compose_clients():
        run = subprocess.run(
            [*client, "-f", ROOT / "docker/compose.yaml", "config", "-q"],
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
