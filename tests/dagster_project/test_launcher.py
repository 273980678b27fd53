"""A run whose process is gone is found out; that it gives back its GPU is shown by tests/journeys/test_gpu.py."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test

from dagster_project.location.instance import prepare


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    (home / "dagster" / "dagster.yaml").unlink()
    prepare()
    with dg.DagsterInstance.get() as instance:
        yield instance


def health(instance: dg.DagsterInstance, pid: int | None) -> WorkerStatus:
    """Return the health of a run that has named a process, or none."""
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        data = EngineEventData(metadata={"pid": dg.MetadataValue.text(str(pid))})
        instance.report_engine_event("Executing steps", run, data)
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_lives_as_long_as_its_process(instance: dg.DagsterInstance) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    assert health(instance, os.getpid()) == WorkerStatus.RUNNING
    assert health(instance, ended.pid) == WorkerStatus.FAILED


def test_a_run_that_has_named_no_process_yet_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert health(instance, None) == WorkerStatus.RUNNING


def test_a_later_process_of_the_same_number_is_another_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
        data = EngineEventData(metadata={"pid": dg.MetadataValue.text(str(later.pid))})
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda: 1.0)
            instance.report_engine_event("Executing steps", run, data)

        health = instance.run_launcher.check_run_worker_health(run)
        later.communicate(b"\n")

    assert health.status == WorkerStatus.FAILED
    assert health.msg == f"its process {later.pid} is gone"
