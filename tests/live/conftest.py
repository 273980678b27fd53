"""A running Sextant: both UIs and the daemon, on a copy of the project with its own SEXTANT_HOME."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

BIN = Path(sys.executable).parent
WATCHED = """\
type: dagster_project.components.UseCase
attributes:
  description: Which rows are positive?
  tables:
    rows: {{source: {{path: "{csv}"}}, key: id}}
  examples: {{table: rows, target: y = 1, split: {{validation_share: 0.2, test_share: 0.2}}}}
  models: {{logistic: {{trials: 1}}}}
  gates: {{champion: {{not_worse_by: 1.0}}}}
  retrain: {{on_new_data: [rows], check_every: 1s, schedule: "0 6 1 * *", timezone: Europe/Berlin}}
"""


@dataclass
class Live:
    """Where a running Sextant is to be found."""

    dagster: str
    mlflow: str
    environment: dict[str, str]
    project: Path
    csv: Path

    def command(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs one of the project's commands."""
        return subprocess.run(
            [str(BIN / name), *arguments], cwd=self.project, env=self.environment, capture_output=True, text=True
        )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]) as instance:
            yield instance


def rows(seed: int) -> pd.DataFrame:
    """300 rows of which `x` says something about `y`."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 300)
    return pd.DataFrame({"id": range(300), "x": y + random.normal(size=300), "y": y})


def wait_until(done: Callable[[], object], timeout_s: float = 300.0) -> None:
    """Polls until `done` holds."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, copy_project: Callable[[Path], Path]) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    project, home, csv = copy_project(folder / "project"), folder / "home", folder / "rows.csv"
    for other in ("flight_delays",):
        (project / "configs" / other / "defs.yaml").unlink()
    (project / "configs" / "watched").mkdir()
    (project / "configs" / "watched" / "defs.yaml").write_text(WATCHED.format(csv=csv))
    (project / "configs" / "broken").mkdir()
    (project / "configs" / "broken" / "defs.yaml").write_text("type: dagster_project.components.UseCase\n")
    rows(seed=0).to_csv(csv, index=False)
    dagster_port, mlflow_port = free_port(), free_port()
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "SEXTANT_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "SEXTANT_DAGSTER_UI": f"http://127.0.0.1:{dagster_port}",
        "SEXTANT_MLFLOW_UI": f"http://127.0.0.1:{mlflow_port}",
        "COLUMNS": "200",
    }
    ports = ("--port", str(dagster_port), "--mlflow-port", str(mlflow_port))
    with open(folder / "dev.log", "wb") as log:
        process = subprocess.Popen(
            [str(BIN / "sextant"), "dev", *ports],
            cwd=project,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        found = Live(f"http://127.0.0.1:{dagster_port}", f"http://127.0.0.1:{mlflow_port}", environment, project, csv)
        try:
            wait_until(lambda: answers(f"{found.dagster}/server_info") and answers(f"{found.mlflow}/health"))
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                print((folder / "dev.log").read_text(errors="replace")[-4000:])
    assert not answers(f"{found.dagster}/server_info")
    assert not answers(f"{found.mlflow}/health")
