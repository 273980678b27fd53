"""A family that takes no time and can be told to die, and a driver of its study: python toy.py WORKERS FAULTS URL.

FAULTS is a folder; each file in it is a fault that is still to come. The file is removed just before it strikes.
"""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.models.family import Family, Training
from ml.search.evaluator import Evaluator, Fitter, Outcome
from ml.search.folds import Folded, folded
from ml.search.space import Space
from ml.search.study import Search, Study, Trial
from ml.search.workers import evaluating
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.task import Kind, Task

TRIALS, BATCH, FOLDS, SEED = 18, 4, 3, 7


@dataclass(frozen=True)
class Weighing:
    """Two columns, weighed, as a probability."""

    weight: float

    def predict(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = 1 / (1 + np.exp(-(self.weight * X[:, 0] + (1 - self.weight) * X[:, 1]).astype(np.float64)))
        return found


@dataclass(frozen=True)
class Toy(Family):
    """A weight, some noise, and a wrong sign: a trial may fail, and one may be hopeless."""

    faults: str = ""
    name: str = "toy"
    devices: tuple[str, ...] = ("cpu",)
    tasks: tuple[Kind, ...] = ("binary",)

    def defaults(self) -> dict[str, Any]:
        return {"weight": 0.1, "noise": 0.01, "sign": 1}

    def suggest(self, trial: Any) -> dict[str, Any]:
        return {
            "weight": trial.suggest_float("weight", 0.0, 1.0),
            "noise": trial.suggest_float("noise", 1e-3, 1.0, log=True),
            "sign": trial.suggest_categorical("sign", [1, -1]),
        }

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> Weighing:
        for number in range(TRIALS):
            if seed == derived_seed(SEED, self.name, number):
                strike(self.faults, f"driver-fits-{number}", os.getppid() if os.environ.get("IN_WORKER") else None)
                strike(self.faults, f"worker-fits-{number}")
                for again in range(9):
                    strike(self.faults, f"worker-fits-{number}-again-{again}")
        if params["noise"] > 0.7:
            raise ArithmeticError("too noisy")
        noise = np.random.default_rng(seed).normal(0, params["noise"])
        return Weighing(params["sign"] * (params["weight"] + noise))


@dataclass(frozen=True)
class Waiting(Toy):
    """Says which process fits it, and waits for a line that does not come."""

    name: str = "waiting"

    def fit(self, data: Training, params: Mapping[str, Any], *, seed: int, **more: Any) -> Weighing:
        os.write(1, f"{os.getpid()}\n".encode())  # at once: print may write the number and the line's end apart
        sys.stdin.readline()
        return Weighing(0.5)


def strike(faults: str, name: str, process: int | None = None) -> None:
    """Kills a process, this one unless another is named, if that is still to come."""
    with suppress(FileNotFoundError):
        if faults:
            (Path(faults) / name).unlink()
            os.kill(process or os.getpid(), signal.SIGKILL)


def problem() -> Folded:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(300, 2)), columns=["a", "b"])
    y = (frame["a"] + 0.4 * frame["b"] + random.normal(0, 0.5, 300) > 0).to_numpy(dtype="int8")
    encoder = Encoder(("a", "b"), {})
    return folded(frame, y, encoder, Task(), random_folds(y, Task(), FOLDS, 0), np.arange(300))


def study(search: Search, faults: str = "", trials: int = TRIALS) -> list[Trial]:
    """All trials of a study of the toy."""
    family = Toy(faults)
    evaluator = Evaluator(Fitter(family, SEED), problem().parts, "roc_auc")
    with evaluating(evaluator, search.workers, search.scratch) as evaluate:
        done = []
        for trial in Study(Space(family), search, "roc_auc", SEED).run(trials, evaluate):
            done.append(trial)
            strike(faults, f"driver-told-{trial.number}")
        return done


def main(workers: str, faults: str, url: str) -> None:
    import optuna

    tell, add = Study._tell, optuna.Study.add_trial

    def told(self: Study, outcome: Outcome) -> None:
        strike(faults, f"driver-before-telling-{outcome.number}")
        tell(self, outcome)

    def added(self: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        add(self, trial)
        if trial.state.name == "RUNNING":
            strike(faults, f"driver-asked-{len(self.trials) - 1}")

    Study._tell, optuna.Study.add_trial = told, added  # type: ignore[method-assign]
    if int(workers) > 1:
        os.environ["IN_WORKER"] = "yes"  # of the workers, which inherit it
    study(Search(batch=BATCH, workers=int(workers), storage=optuna.storages.RDBStorage(url), name="toy"), faults)


if __name__ == "__main__":
    import toy  # the workers know the family by this name

    toy.main(*sys.argv[1:])
