"""A PostgreSQL of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass(frozen=True)
class Cluster:
    """A cluster that listens on a socket in its own folder; it may be stopped and started again."""

    folder: Path
    user: str | None

    @property
    def url(self) -> str:
        """The URL of its first database, as libpq has it."""
        return f"postgresql://sextant@/postgres?host={self.folder}"

    def start(self) -> None:
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"]
        self._control("-o", " ".join(settings), "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        command = [PROGRAMS[-1].parent / "pg_ctl", "-D", str(self.folder / "data"), "-w", *arguments]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster whose superuser is `sextant`; nothing of root's."""
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses root
    with ExitStack() as stack:
        # Not in tmp_path, which is closed to every other user.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-")))
        if user:
            shutil.chown(folder, user)
        options = ["--username", "sextant", "--auth", "trust", "--no-sync", "--encoding", "UTF8"]
        command = [PROGRAMS[-1], *options, "--pgdata", str(folder / "data")]
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)
        server = Cluster(folder, user)
        server.start()
        stack.callback(lambda: server.stop() if (folder / "data" / "postmaster.pid").exists() else None)
        yield server
