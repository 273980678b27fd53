"""GPUs in the pipeline: who runs on one, what the results say of it, and what is left when a run is killed."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psutil
import pytest
from click.testing import CliRunner
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import freeze_time
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._daemon.monitoring.run_monitoring import monitor_started_run
from dagster._time import get_current_datetime

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.commands.main import main
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from dagster_project.location.instance import prepare
from dagster_project.location.pools import limit_pools
from resources.gpu.pool import GpuBusyError, GpuPool, GpuWish
from resources.ledger import Ledger
from tests.support.small import Small

HERE = Path(__file__).parent
MLP = {"trials": 1, "gpu": "preferred"}


def trained(small: Small, devices: list[int], **mlp: Any) -> dg.ExecuteInProcessResult:
    """Run up to models/mlp, on a machine with these GPUs."""
    case = Case("small", UseCase.model_validate(small.declared(models={"mlp": {**MLP, **mlp}})))
    selection = dg.AssetSelection.assets(case.key("models/mlp")).upstream()
    using = {**resources(), "gpus": GpuPool(devices=devices)}
    with dg.DagsterInstance.get() as instance:
        return dg.materialize(
            all_assets(case), resources=using, instance=instance, selection=selection, raise_on_error=False
        )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success
    events = {event.materialization.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}
    return {name: value.value for name, value in events["mlp"].materialization.metadata.items()}


class Run:
    """gpu_run.py in a process of its own."""

    def __init__(self, declared: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "gpu_run.py"), json.dumps(declared)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
            text=True,
        )

    def hears(self, words: str) -> str:
        """Wait for the next line with these words, and return it; empty if the run ends without."""
        assert self.process.stdout is not None
        return next((line for line in self.process.stdout if words in line), "")

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def start(small: Small) -> Iterator[Callable[[], Run]]:
    """Return a function that starts runs; those that are left are ended."""
    runs: list[Run] = []

    def run() -> Run:
        runs.append(Run(small.declared()))
        return runs[-1]

    yield run
    for left in runs:
        left.process.kill()
        left.process.communicate()


def test_a_preference_without_a_gpu_trains_on_the_cpu_and_says_so(small: Small) -> None:
    shown = metadata(trained(small, devices=[]))
    environment = Ledger().get(shown["coordinates id"])["environment"]

    assert shown["device"] == "cpu"
    assert shown["downgrade"] == "gpu: preferred, but there is no GPU: this ran on the CPU"
    assert environment["device"] == "cpu (gpu: preferred, there is no GPU)"
    assert "on cpu (gpu: preferred, there is no GPU)" in CliRunner().invoke(main, ["locate", "small/models/mlp"]).output


def test_a_requirement_without_a_gpu_fails_and_says_what_to_do(small: Small) -> None:
    failed = trained(small, devices=[], gpu="required")

    event = next(event for event in failed.all_events if event.is_step_failure)
    assert event.step_key == "small__models__mlp"
    assert "gpu: required, but there is no GPU; mend that, use another machine, or set gpu: preferred" in str(
        event.step_failure_data.error
    )


def test_a_step_that_wishes_for_no_gpu_names_no_device_in_its_coordinates(small: Small) -> None:
    shown = metadata(trained(small, devices=[0], gpu="never"))

    assert shown["device"] == "cpu"
    assert "downgrade" not in shown
    assert "device" not in Ledger().get(shown["coordinates id"])["environment"]


@pytest.mark.slow
def test_a_result_of_another_device_is_not_taken_and_diff_names_both(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.stages.model.torch_without_cuda", lambda: "torch lacks CUDA")
    without = metadata(trained(small, devices=[]))
    again = metadata(trained(small, devices=[]))
    useless = metadata(trained(small, devices=[0]))

    shown = CliRunner().invoke(main, ["diff", without["coordinates id"], useless["coordinates id"]]).output

    assert "reused" not in without
    assert again["reused"] is True
    assert "reused" not in useless
    assert "environment, from small/models/mlp on\n" in shown
    assert (
        'device: "cpu (gpu: preferred, there is no GPU)" and "cpu (gpu: preferred, torch lacks CUDA)"' in shown
    )  # and nothing else of the environment
    assert shown.count(" and ") == shown.count("device: ") + shown.count("commit ")


@pytest.mark.parametrize(
    ("family", "pool"),
    [
        ({"gpu": "required"}, {"gpu"}),
        ({"gpu": "preferred"}, {"gpu"}),
        ({"gpu": "preferred", "gpu_share": 0.5}, {"gpu_shared"}),
        ({"gpu": "never"}, set()),
    ],
)
def test_what_may_use_a_gpu_is_in_a_pool(family: dict[str, Any], pool: set[str], small: Small) -> None:
    models = {"logistic": {"trials": 1}, "mlp": family}
    case = Case("small", UseCase.model_validate(small.declared(models=models)))

    pools = {asset.key.to_user_string(): asset.op.pool for asset in all_assets(case)}

    assert {pools["small/models/mlp"]} - {None} == pool
    assert {name for name, pool_of_asset in pools.items() if pool_of_asset} <= {"small/models/mlp", "small/onnx_model"}


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"logistic": {"gpu": "preferred"}}, "logistic trains on the CPU only"),
        ({"mlp": {"gpu_share": 0.5}}, "mlp states a gpu_share, but gpu: never"),
        ({"mlp": {"gpu": "required", "gpu_share": 0}}, "greater than 0"),
        ({"mlp": {"gpu": "required", "gpu_share": 1.5}}, "less than or equal to 1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_a_mistake_of_the_declaration(
    models: dict[str, Any], words: str, small: Small
) -> None:
    with pytest.raises(ValueError, match=words):
        UseCase.model_validate(small.declared(models=models))


@pytest.mark.slow
def test_of_two_runs_at_once_the_second_waits_for_the_device_and_names_the_first(start: Callable[[], Run]) -> None:
    first = start()
    assert first.hears("has cuda:0")
    second = start()

    waits = second.hears("waiting for a GPU")
    first.let_go()

    with dg.DagsterInstance.get() as instance:
        (run,) = (run.run_id for run in instance.get_runs() if f"run {run.run_id}" in waits)
    assert f"process {first.process.pid}, run {run}, asset small/trained holds 1 of made-up-0" in waits
    assert second.hears("has cuda:0")
    second.let_go()
    assert second.hears("done")


@pytest.mark.slow
def test_a_killed_run_gives_its_device_and_its_place_in_the_pool_back(home: Path, start: Callable[[], Run]) -> None:
    (home / "dagster" / "dagster.yaml").unlink()
    prepare()
    with dg.DagsterInstance.get() as instance:
        limit_pools(instance, GpuPool(devices=[0]))
        killed = start()
        assert killed.hears("has cuda:0")
        (record,) = instance.get_run_records()
        before = instance.run_launcher.check_run_worker_health(record.dagster_run)

        killed.process.kill()
        killed.process.wait()
        monitor_started_run(instance, None, record, logging.getLogger())  # type: ignore[arg-type]

        later = get_current_datetime() + timedelta(minutes=1)
        with freeze_time(later):
            list(execute_concurrency_slots_iteration(SimpleNamespace(instance=instance), logging.getLogger()))  # type: ignore[arg-type]
        run = instance.get_run_by_id(record.dagster_run.run_id)
        assert before.status == WorkerStatus.RUNNING
        assert run is not None
        assert run.status == dg.DagsterRunStatus.FAILURE
    second = start()
    assert second.hears("has cuda:0")


@pytest.mark.slow
def test_a_step_ends_with_its_killed_run_and_its_lease_with_it(small: Small, tmp_path: Path) -> None:
    step_file = tmp_path / "step"
    environment = {
        "STEP_PID": str(step_file),
        "DECLARED": json.dumps(small.declared()),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(HERE / "orphan_run.py")], env={**os.environ, **environment}
    )
    try:
        while not (step_file.is_file() and step_file.read_text()):
            assert run.poll() is None
            time.sleep(0.1)
        step = psutil.Process(int(step_file.read_text()))
        assert step.pid != run.pid
        with pytest.raises(GpuBusyError), GpuPool(devices=[0], wait_s=0).lease(GpuWish("required")):
            pass
    finally:
        run.kill()
        run.wait()

    step.wait(60)

    with GpuPool(devices=[0], wait_s=0).lease(GpuWish("required")) as lease:
        assert lease.device == "cuda:0"
