"""flight_delays on every twentieth flight: a raw record gets the score that the batch path gives its row."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from resources.bentos import free_port, stop, wait_until_ready
from resources.storage import Storage, find

BIN = Path(sys.executable).parent
SAMPLE = '''
import pandas as pd
from dagster_project.examples.nycflights import flights as all_flights

def flights() -> pd.DataFrame:
    """Return a sample, and three flights of Christmas that nobody has seen the like of."""
    sample = all_flights().iloc[::20]
    plain = {"scheduled_departure": pd.Timestamp("2013-12-25 17:45"), "scheduled_minutes": 130.0, "carrier": "UA",
             "flight": "UA1545", "tailnum": "N24211", "origin": "EWR", "dest": "ORD", "distance": 719}
    strange = [plain, plain | {"carrier": "ZZ", "flight": "ZZ9"}, plain | {"tailnum": None, "distance": None}]
    ids = range(10_000_000, 10_000_003)
    return pd.concat([sample, pd.DataFrame(strange).assign(flight_id=ids)], ignore_index=True)
'''


def reduce(declared: dict[str, Any]) -> dict[str, Any]:
    """Return the same declaration on the sample, with a search that takes seconds."""
    attributes = declared["attributes"]
    attributes["tables"]["flights"]["source"] = {"python": "sample:flights"}
    attributes["models"] = {"logistic": {"trials": 1}, "lightgbm": {"trials": 2}}
    attributes["gates"]["roc_auc"]["at_least"] = 0.6
    return declared


@pytest.fixture
def project(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "sample.py").write_text(SAMPLE)
    file = folder / "configs" / "flight_delays" / "defs.yaml"
    file.write_text(yaml.safe_dump(reduce(yaml.safe_load(file.read_text()))))
    return folder


def curl(url: str, record: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    command = ["curl", "--silent", "--write-out", "\n%{http_code}", "--header", "content-type: application/json"]
    done = subprocess.run([*command, "--data", json.dumps(record), url], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.slow
def test_a_raw_record_with_gaps_and_an_unseen_carrier_is_scored_as_in_the_batch(
    project: Path, home: Path, need: Callable[[object, str], None]
) -> None:
    need(shutil.which("curl"), "curl")
    environment = os.environ | {"PYTHONPATH": str(project)}
    launch = [str(BIN / "dg"), "launch", "--job", "flight_delays_retrain"]
    done = subprocess.run(launch, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    with dg.DagsterInstance.get() as instance:
        evaluation = Storage().load(find(instance, dg.AssetKey(["flight_delays", "evaluation"])))
        predictions = Storage().load(find(instance, dg.AssetKey(["flight_delays", "predictions"])))
    expected = predictions.set_index("flight_id")["score"]
    record = {
        "scheduled_departure": "2013-12-25T17:45:00", "scheduled_minutes": 130, "carrier": "UA", "flight": "UA1545",
        "tailnum": "N24211", "origin": "EWR", "dest": "ORD", "distance": 719,
    }  # fmt: skip
    questions = {
        10_000_000: record,
        10_000_001: record | {"carrier": "ZZ", "flight": "ZZ9"},
        10_000_002: {name: value for name, value in record.items() if name not in ("tailnum", "distance")},
    }
    port = free_port()
    serve = [str(BIN / "sextant"), "serve", "flight_delays", "--port", str(port)]

    process = subprocess.Popen(serve, cwd=project, env=environment, start_new_session=True)
    try:
        assert wait_until_ready(f"http://127.0.0.1:{port}", process, timeout_s=60)
        answers = {row: curl(f"http://127.0.0.1:{port}/predict", body) for row, body in questions.items()}
    finally:
        stop(process)

    assert [status for status, _ in answers.values()] == [200, 200, 200]
    for row, (_, answer) in answers.items():
        assert answer["score"] == pytest.approx(expected[row], abs=1e-5)
    assert len({answer["score"] for _, answer in answers.values()}) == 3
    # Far better than chance, and below what only the weather or the delay of the departure itself could give.
    assert 0.6 < evaluation.metrics["roc_auc"] < 0.85
