"""Runs that were on when their container stopped."""

import runpy
from pathlib import Path

import dagster as dg
import pytest

from resources.tracking.runs import tracking

SCRIPT = Path(__file__).parents[2] / "deploy" / "end_lost_runs.py"
Status = dg.DagsterRunStatus


@pytest.mark.slow
def test_runs_that_were_on_end_and_others_stay_as_they_are(home: Path) -> None:
    before = [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING, Status.SUCCESS]
    instance = dg.DagsterInstance.get()
    runs = [instance.add_run(dg.DagsterRun(job_name="train", status=status)) for status in before]
    client = tracking().client()
    experiment = tracking().experiment(client, "train")
    tracked = [client.create_run(experiment, tags={"dagster.run_id": run.run_id}).info.run_id for run in runs]

    runpy.run_path(str(SCRIPT), run_name="__main__")

    after = [run.status for run in (instance.get_run_by_id(run.run_id) for run in runs) if run]
    assert after == [Status.NOT_STARTED, Status.FAILURE, Status.FAILURE, Status.CANCELED, Status.SUCCESS]
    assert [client.get_run(run).info.status for run in tracked] == ["RUNNING", "FAILED", "FAILED", "FAILED", "RUNNING"]
