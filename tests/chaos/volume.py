"""A PostgreSQL of its own on a small volume that a test can fill up and free again.

The volume is a small tmpfs, which takes the right to mount. Where that is missing the
server's processes are forbidden to let any file grow instead, and a warning says so.
"""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from pathlib import Path

MEGABYTES = 400
_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=str)
_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
shared_buffers = 64MB
min_wal_size = 32MB
max_wal_size = 64MB
wal_recycle = off
"""


class SmallServer:
    """The server; ``dsn`` and ``environment`` say how to reach its database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        self.mounted = False
        self._filler = folder / "filler"
        self.dsn = f"dbname={database} host={folder} user=health"
        self.environment = {"PGHOST": str(folder), "PGUSER": "health"}

    # -- up and down ----------------------------------------------------------------

    def create(self, source_dsn: str) -> None:
        """Mount, start, and copy a database into it."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.mounted = self._mount()
        if os.geteuid() == 0:
            subprocess.run(["chown", "postgres", self.folder], check=True)
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(_SETTINGS.format(folder=self.folder))
        self.start()
        self._run("createuser", "-h", self.folder, "-U", "postgres", "-d", "health")
        self._run("createdb", "-h", self.folder, "-U", "health", self.database)
        with subprocess.Popen(
            ["pg_dump", "--no-owner", source_dsn], stdout=subprocess.PIPE
        ) as dump:
            subprocess.run(
                ["psql", "-qX", self.dsn],
                stdin=dump.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )

    def start(self) -> None:
        """Start the server unless it runs; one that found no space ends by itself."""
        log = self.folder / "server.log"
        status = self._control("status", check=False)
        if status.returncode:
            self._control("-w", "-l", log, "start")

    def remove(self) -> None:
        self.free()
        self._control("-m", "immediate", "-w", "stop", check=False)
        if self.mounted:
            # lazily: whatever still looks at it keeps it until it is done
            subprocess.run(["umount", "--lazy", self.folder], check=True)
            self.folder.rmdir()
        else:
            subprocess.run(["rm", "-rf", self.folder], check=True)

    # -- the space ------------------------------------------------------------------

    def fill(self) -> None:
        """Not a byte is left, but in blocks that files own already."""
        if not self.mounted:
            return self._limit("0")
        with self._filler.open("wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError:
                    continue
        return None

    def free(self) -> None:
        """Space again; the server is started if it ended over it."""
        if self.mounted:
            self._filler.unlink(missing_ok=True)
        elif self._pids():
            self._limit("unlimited")
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.start()
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _mount(self) -> bool:
        options = f"size={MEGABYTES}m,mode=755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder],
            capture_output=True,
            text=True,
        )
        if done.returncode or os.environ.get("HEALTH_NO_MOUNT"):
            warnings.warn(
                f"no small volume can be mounted here ({done.stderr.strip()}): files "
                "are kept from growing instead",
                stacklevel=2,
            )
            return False
        return True

    def _limit(self, size: str) -> None:
        for pid in self._pids():
            limit = ["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"]
            subprocess.run(limit, capture_output=True)

    def _pids(self) -> list[str]:
        """The postmaster and its children; those to come inherit from the first."""
        try:
            main = (self.folder / "data/postmaster.pid").read_text().split()[0]
            children = Path(f"/proc/{main}/task/{main}/children").read_text()
        except OSError:
            return []
        return [main, *children.split()]

    # -- tools ----------------------------------------------------------------------

    def _control(self, *arguments, check: bool = True):
        data = self.folder / "data"
        return self._run("pg_ctl", "-D", data, "-s", *arguments, check=check)

    def _run(self, program: str, *arguments, check: bool = True):
        """A program of the server, never as root."""
        command = [str(_BINARIES[-1] / program), *map(str, arguments)]
        if os.geteuid() == 0:
            user = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
            command = ["setpriv", *user, *command]
        return subprocess.run(
            command,
            check=check,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
