"""What killed processes leave is ended and removed by whoever looks next, and nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test

from dagster_project.location import reaper
from dagster_project.location.reaper import PROCESS, reap
from ml.base.processes import Process, this_process
from resources.tracking.runs import tracking

Status = dg.DagsterRunStatus


@pytest.fixture
def instance(stocked_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture(scope="module")
def ended() -> Process:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = Process.of(process.pid)
        process.communicate(b"\n")
    return identity


def run_of(instance: dg.DagsterInstance, status: Status, launched_by: Process | None, pid: int | None = None) -> str:
    """Make a run with its launcher, and the number of its own process, if they are known."""
    run = create_run_for_test(instance, status=status, tags={PROCESS: str(launched_by)} if launched_by else {})
    if pid is not None:
        data = EngineEventData(metadata={"pid": dg.MetadataValue.text(str(pid))})
        instance.report_engine_event("Executing steps", run, data)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> Status:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING])
def test_a_run_whose_process_is_gone_has_ended(instance: dg.DagsterInstance, ended: Process, status: Status) -> None:
    of_launcher = run_of(instance, status, ended)
    of_itself = run_of(instance, status, this_process(), ended.pid)
    alive = [run_of(instance, status, this_process()), run_of(instance, status, ended, os.getpid())]
    alive += [run_of(instance, status, replace(ended, host="elsewhere"), ended.pid), run_of(instance, status, None)]

    lines = reap(instance)

    over = Status.CANCELED if status == Status.CANCELING else Status.FAILURE
    assert [status_of(instance, run) for run in (of_launcher, of_itself)] == [over, over]
    assert {status_of(instance, run) for run in alive} == {status}
    assert sorted(line.split()[2] for line in lines) == sorted([of_launcher, of_itself])
    assert reap(instance) == []


def test_a_run_that_nobody_has_begun_ends_and_one_that_is_over_stays_as_it_is(
    instance: dg.DagsterInstance, ended: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run_of(instance, status, None) for status in (Status.NOT_STARTED, Status.STARTED)]
    over = run_of(instance, Status.SUCCESS, ended)
    assert reap(instance) == []

    monkeypatch.setattr(reaper, "UNKNOWN_FOR", timedelta(0))
    reap(instance)

    assert {status_of(instance, run) for run in runs} == {Status.FAILURE}
    assert status_of(instance, over) == Status.SUCCESS


def test_open_runs_of_mlflow_end_with_their_process_or_their_dagster_run(
    instance: dg.DagsterInstance, ended: Process
) -> None:
    client, experiment = tracking().client(), tracking().experiment(tracking().client(), "small")
    failed, begun = (run_of(instance, status, this_process()) for status in (Status.FAILURE, Status.STARTED))

    def opened(tag: str = "", value: object = "") -> str:
        return str(client.create_run(experiment, tags={tag: str(value)} if tag else {}).info.run_id)

    lost = [opened("sextant.process", ended), opened("dagster.run_id", failed)]
    lost.append(opened("mlflow.parentRunId", lost[0]))
    alive = [opened("sextant.process", this_process()), opened("sextant.process", replace(ended, host="elsewhere"))]
    alive += [opened("mlflow.parentRunId", alive[0]), opened("dagster.run_id", begun), opened()]

    reap(instance)

    assert {client.get_run(run).info.status for run in lost} == {"FAILED"}
    assert {client.get_run(run).info.status for run in alive} == {"RUNNING"}


KILLED = """
import os, signal
from pathlib import Path
from ml.base.files import open_whole, scratch_folder
from resources.home import home
from resources.tracking.runs import tracking

with tracking().run("small", "models/x", {}) as run, scratch_folder(), scratch_folder(home() / "bentoml"):
    run.child("trial 0", {}, {}, {"state": "COMPLETE"})
    with open_whole(home() / "storage" / "small" / "x.json") as file:
        file.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_step_leaves_nothing_behind(
    instance: dg.DagsterInstance, stocked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stocked_home / "bentoml").mkdir()
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED], env=environment, check=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert tracking().client().search_runs(["1"], "attributes.status = 'RUNNING'")

    lines = reap(instance)

    left = [*(tmp_path / "tmp").iterdir(), *(stocked_home / "bentoml").iterdir(), *stocked_home.rglob("*.part")]
    assert left == []
    assert sum("which a killed process was writing" in line for line in lines) == 3
    statuses = [run.info.status for run in tracking().client().search_runs(["1"])]
    assert sorted(statuses) == ["FAILED", "FINISHED"]
