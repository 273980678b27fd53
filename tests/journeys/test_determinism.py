"""The same inputs give the same bytes: in another run, and with another number of worker processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.results.comparison import compare_results
from resources.ledger import Ledger
from resources.storage import Storage, Stored

ROOT = Path(__file__).parents[2]
CODE = """
import dagster as dg
from dagster_project.definitions import CONFIGS, PRELOAD, resources
from dagster_project.location.loading import load_use_cases

start = {"forkserver": {"preload_modules": PRELOAD}}
executor = dg.multiprocess_executor.configured({"max_concurrent": %d, "start_method": start})
defs = dg.Definitions.merge(load_use_cases(CONFIGS), dg.Definitions(resources=resources(), executor=executor))
"""
NAME_THE_RUN = {"onnx_model", "evaluation", "profile", "production_model", "predictions"}  # compared apart from that


def results(home: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Stored]:
    """Run breast_cancer in a home of its own, and return what it stores, by asset."""
    for name, value in {"SEXTANT_HOME": home, "DAGSTER_HOME": home / "dagster", "PYTHONPATH": ROOT}.items():
        monkeypatch.setenv(name, str(value))
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (home / "location.py").write_text(CODE % workers)
    select = 'key:"breast_cancer/*" and not key:"breast_cancer/bento"'
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-f", str(home / "location.py")]
    done = subprocess.run([*command, "--select", select], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    records = Ledger().records.values()
    return {record["run"]["asset"].partition("/")[2]: Stored(**record["result"]) for record in records}


@pytest.mark.slow
def test_one_and_two_worker_processes_store_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = {workers: tmp_path / f"{workers}" for workers in (1, 2)}
    one, two = (results(home, workers, monkeypatch) for workers, home in homes.items())

    assert one.keys() == two.keys() >= {"raw/samples", "features/test", "models/lightgbm", "models/mlp", *NAME_THE_RUN}
    for asset in one.keys() - NAME_THE_RUN:
        assert one[asset] == two[asset], asset
    for asset in NAME_THE_RUN:
        values = [Storage(url=str(homes[n] / "storage")).load(r[asset]) for n, r in ((1, one), (2, two))]
        assert compare_results(*values).word == "identical", asset
