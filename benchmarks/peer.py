"""The side of a peer in benchmarks/quality.py: run by the Python of an environment that has FLAML or AutoGluon.

Its folder has `train.csv`, `test.csv` and `about.json`; it leaves `answers.npy` there, and `seconds.json`: the
processor time that its search took. The peers mind their budgets by the clocks of the module `time`; here these tell
the processor time of the process tree, so that other work on the machine takes nothing away from them.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.time()


def processor_s() -> float:
    """Return the seconds that this process and its children have had of a processor."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


time.time = lambda: STARTED + processor_s()
time.perf_counter = time.monotonic = processor_s

import numpy as np  # noqa: E402 - these may take hold of a clock
import pandas as pd  # noqa: E402


def main(peer: str, folder: str) -> None:
    """Fit a peer on the training rows of a folder, and leave its answers to the test rows."""
    place = Path(folder)
    about = json.loads((place / "about.json").read_text())
    types = {**dict.fromkeys(about["numeric"], float), **dict.fromkeys(about["categorical"], "object")}
    if about["task"] != "regression":
        types["target"] = "object" if about["task"] == "multiclass" else int
    train, test = (pd.read_csv(place / f"{part}.csv", dtype=types) for part in ("train", "test"))
    before = processor_s()
    model = {"flaml": flaml, "autogluon": autogluon}[peer](train, about, place)
    (place / "seconds.json").write_text(json.dumps(processor_s() - before))
    np.save(place / "answers.npy", answers(model, test.drop(columns="target"), about))


def flaml(train: pd.DataFrame, about: dict[str, Any], place: Path) -> Any:
    """Search as FLAML does when it is told a task, a metric and a budget: over all of its families."""
    from flaml import AutoML

    tasks = {"binary": ("classification", "roc_auc"), "multiclass": ("classification", "log_loss")}
    task, metric = tasks.get(about["task"], ("regression", "rmse"))
    model = AutoML()
    how = {"time_budget": about["seconds"], "seed": about["seed"], "n_jobs": 1, "verbose": 0}
    model.fit(train.drop(columns="target"), train["target"], task=task, metric=metric, **how)
    return model


def autogluon(train: pd.DataFrame, about: dict[str, Any], place: Path) -> Any:
    """Search as AutoGluon does when it is asked for its best quality: its families on folds, stacked."""
    from autogluon.tabular import TabularPredictor

    metrics = {"binary": "roc_auc", "multiclass": "log_loss"}
    model = TabularPredictor(
        "target",
        problem_type=about["task"],
        eval_metric=metrics.get(about["task"], "root_mean_squared_error"),
        path=str(place / "models"),
        verbosity=0,
    )
    return model.fit(train, time_limit=about["seconds"], presets="best_quality", num_cpus=1, num_gpus=0)


def answers(model: Any, rows: pd.DataFrame, about: dict[str, Any]) -> np.ndarray:
    """Return a peer's numbers, or probabilities in the order of the classes by name."""
    if about["task"] == "regression":
        return np.asarray(model.predict(rows), np.float64)
    shares = np.asarray(model.predict_proba(rows), np.float64)
    return shares[:, 1] if about["task"] == "binary" else shares


if __name__ == "__main__":
    main(*sys.argv[1:])
