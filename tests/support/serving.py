"""A service that is started as in production, by `bentoml serve`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resources.bentos import wait_until_ready

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(bundle: Path, scratch: Path, **settings: str) -> Iterator[tuple[Any, str]]:
    """Start the service over a bundle, by settings of the environment; yield its process and address once it is ready.

    What it prints is in `scratch / "log"`.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (scratch / "temporary").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(scratch / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
        "SEXTANT_BUNDLE": str(bundle),
        "TMPDIR": str(scratch / "temporary"),
        **settings,
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.service:ModelService", "--port", str(port)]
    with (scratch / "log").open("w+b") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            assert wait_until_ready(f"http://127.0.0.1:{port}", process, 120), (scratch / "log").read_bytes()[-2000:]
            yield process, f"127.0.0.1:{port}"
        finally:
            process.kill() if process.poll() is None else None
            process.wait()
