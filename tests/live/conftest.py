"""A running Sextant: both UIs and the daemon, on a copy of the project with its own SEXTANT_HOME."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from resources.bentos import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

BIN = Path(sys.executable).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WATCHED = """\
type: dagster_project.components.UseCase
attributes:
  description: Which rows are positive?
  tables:
    rows: {{source: {{path: "{csv}"}}, key: id}}
  examples: {{table: rows, target: y = 1, split: {{validation_share: 0.2, test_share: 0.2}}}}
  models: {{logistic: {{trials: 1}}}}
  gates: {gates}
  retrain: {{on_new_data: [rows], check_every: 1s, schedule: "0 6 1 * *", timezone: Europe/Berlin}}
"""
GATES = {"watched": "{champion: {not_worse_by: 1.0}}", "guarded": "{roc_auc: {at_least: 0.8}}"}


RUNNING = ExitStack()


@dataclass
class Live:
    """A running Sextant: its process, its addresses and its folders."""

    pid: int
    dagster: str
    mlflow: str
    environment: dict[str, str]
    project: Path
    folder: Path
    opened: dg.DagsterInstance | None = None

    def arrive(self, use_case: str, rows: pd.DataFrame) -> None:
        """Give the table that a use case looks at another content, all at once."""
        arriving = self.folder / "arriving.csv"
        rows.to_csv(arriving, index=False)
        arriving.rename(self.folder / f"{use_case}.csv")

    def command(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the project's commands."""
        return subprocess.run(
            [str(BIN / name), *arguments], cwd=self.project, env=self.environment, capture_output=True, text=True
        )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Yield its Dagster instance, opened once: who waits for something asks it five times a second."""
        if self.opened is None:
            self.opened = RUNNING.enter_context(dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]))
        yield self.opened


def rows(seed: int, noise: float = 0.5) -> pd.DataFrame:
    """Return 300 rows of which `x` says something about `y`, less the more noise there is."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 300)
    return pd.DataFrame({"id": range(300), "x": y + random.normal(scale=noise, size=300), "y": y})


def wait_until(done: Callable[[], object], timeout_s: float = 300.0) -> None:
    """Poll until `done` holds."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, copy_project: Callable[[Path], Path]) -> Live:
    return RUNNING.enter_context(started(tmp_path_factory.mktemp("live"), copy_project))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End what runs after the last test of this folder: its sensors would go on beside all other tests."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        RUNNING.close()


@contextmanager
def started(folder: Path, copy_project: Callable[[Path], Path]) -> Iterator[Live]:
    """Start Sextant for the block."""
    project, home = copy_project(folder / "project"), folder / "home"
    (project / "configs" / "flight_delays" / "defs.yaml").unlink()
    trained = project / "configs" / "breast_cancer" / "defs.yaml"
    declared = yaml.safe_load(trained.read_text())
    declared["attributes"]["models"] = {"logistic": {"trials": 1}, "lightgbm": {"trials": 2}}
    trained.write_text(yaml.safe_dump(declared))
    watched = {name: WATCHED.format(csv=folder / f"{name}.csv", gates=gates) for name, gates in GATES.items()}
    for name, text in {**watched, "broken": "type: dagster_project.components.UseCase\n"}.items():
        (project / "configs" / name).mkdir()
        (project / "configs" / name / "defs.yaml").write_text(text)
        rows(seed=0).to_csv(folder / f"{name}.csv", index=False)
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
        urls = [f"http://127.0.0.1:{port}" for port in (dagster_port, mlflow_port)]
        running = Live(process.pid, *urls, environment, project, folder)
        try:
            wait_until(lambda: answers(f"{running.dagster}/server_info") and answers(f"{running.mlflow}/health"))
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                print((folder / "dev.log").read_text(errors="replace")[-4000:])
    assert not answers(f"{running.dagster}/server_info")
    assert not answers(f"{running.mlflow}/health")


@pytest.fixture(scope="module")
def page(need: Callable[[object, str], None]) -> Iterator["Page"]:
    need(CHROMIUM, "chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 2400})
        page.set_default_timeout(60_000)
        yield page
        browser.close()
