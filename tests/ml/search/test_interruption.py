"""Studies whose driver and workers are killed end as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.storages import RDBStorage

from ml.search.study import Search, Trial
from tests.support import toy

SUPPORT = Path(__file__).parents[2] / "support"
DRIVER = ["driver-asked-2", "driver-fits-4", "driver-before-telling-6", "driver-told-9", "driver-fits-12"]
WORKER = ["worker-fits-1", "worker-fits-9", "worker-fits-9-again-0"]


def drive(workers: int, faults: Path, url: str) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    command = [sys.executable, str(SUPPORT / "toy.py"), str(workers), str(faults), url]
    return subprocess.run(command, env=environment, check=False).returncode


WAITING = """
from ml.search.evaluator import Evaluator, Fitter, Job
from ml.search.workers import evaluating
from tests.support import toy

with evaluating(Evaluator(Fitter(toy.Waiting(), 0), toy.problem().parts, "roc_auc"), 2) as evaluate:
    list(evaluate([Job(number, toy.Toy().defaults()) for number in range(2)]))
"""


@pytest.mark.slow
def test_no_worker_outlives_its_driver() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT.parents[1])}
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WAITING], env=environment, text=True, **piped) as driver:  # type: ignore[call-overload]
        workers = {int(driver.stdout.readline()) for _ in range(2)}
        children = {child.pid for child in psutil.Process(driver.pid).children()}
        driver.kill()
        driver.wait()
        rest, _ = driver.communicate(timeout=60)  # who is still there is told to go on, and heard until it ends

    assert workers == children
    assert (rest, driver.returncode) == ("", -signal.SIGKILL)


def results(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.drawn, trial.score, trial.state, trial.folds, trial.reason) for trial in trials]


def stored(url: str) -> list[tuple[Any, ...]]:
    """The same of the stored trials, none of which may still be running."""
    storage = RDBStorage(url)
    assert all(trial.state.is_finished() for trial in optuna.load_study(study_name="toy", storage=storage).trials)
    return results(toy.study(Search(batch=toy.BATCH, storage=storage, name="toy")))


def to_come(folder: Path, *faults: str) -> Path:
    folder.mkdir()
    for name in faults:
        (folder / name).touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_whose_processes_are_killed_has_the_trials_of_one_that_was_left_alone(
    workers: int, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    faults = to_come(tmp_path / "faults", *DRIVER, *(WORKER if workers > 1 else []))

    ends = [drive(workers, faults, url) for _ in DRIVER]
    last = drive(workers, faults, url)

    assert ends == [-signal.SIGKILL] * len(DRIVER)
    assert last == 0
    assert list(faults.iterdir()) == []
    alone = toy.study(Search(batch=toy.BATCH))
    assert {trial.state for trial in alone} == {"COMPLETE", "PRUNED", "FAIL"}
    assert stored(url) == results(alone)


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_fails_and_the_others_go_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    faults = to_come(tmp_path / "faults", "worker-fits-1", "worker-fits-1-again-0", "worker-fits-1-again-1")

    assert drive(2, faults, url) == 0

    trials = stored(url)
    assert trials[1][3:] == ("FAIL", (), "its worker died 3 times, the last with signal 9")
    assert trials[0] == results(toy.study(Search(batch=toy.BATCH), trials=1))[0]
    assert len(trials) == toy.TRIALS
