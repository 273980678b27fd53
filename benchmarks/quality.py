"""The quality of the answers: Sextant's ensemble beside FLAML and AutoGluon, at equal processor time on one thread.

Eleven data sets (benchmarks/public_sets.py), of each a sample of `--rows`, drawn anew for every seed: a fifth of the
rows is test, which judges all by the task's own metric. The peers have the other four fifths as they come, and encode
them in their own ways; Sextant divides them into train and validation, and judges settings and blends on folds of
train. Its families run as many trials as `TRIALS` says. The processor time that this takes, rounded up to five seconds
and at least ten, is the budget that the peers are told, by clocks that tell processor time (benchmarks/peer.py). FLAML
searches all its families, AutoGluon is asked for `best_quality`, without torch. Each has an environment of its own
below `--cache`, made on the first run, and what it answered is kept there. `--folder` has real files.

`ratio` is the geometric mean, over data sets, of the ensemble's error (1 - AUC, log loss, RMSE) over the better peer's.
A set is `below` where a peer is better by more than the spread: the standard deviation, over seeds, of the difference.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, exp, log
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd
import torch
from public_sets import DATA, load_set
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from ml.base.hashing import hash_bytes
from ml.base.text import markdown_table
from ml.models.family import Training
from ml.search.ensemble import blend
from ml.search.folds import Folded, folded
from ml.search.study import Search
from ml.search.tuning import Refit, tune
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.metrics import DEFAULT_METRIC, Metric, score
from ml.tasks.task import Kind, Task

ENSEMBLE, BEST = "Sextant, ensemble", "Sextant, best family"
PEERS: Mapping[str, tuple[str, ...]] = {
    "FLAML": ("flaml[automl]==2.8.0",),
    "AutoGluon": ("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3",),
}
SIDES = (ENSEMBLE, BEST, *PEERS, "LightGBM defaults")
FOLDS = 3
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LEAST_S = 10.0  # of less AutoGluon fits nothing
ROUNDED_S = 5.0  # the peers' budgets are rounded up to as much, so that what they answered can be kept
TRIALS: Mapping[Kind, Mapping[str, int]] = {  # what takes long tries little
    "binary": {"logistic": 2, "lightgbm": 3, "extra_trees": 2, "mlp": 1},
    "multiclass": {"logistic": 2, "lightgbm": 3, "extra_trees": 2, "mlp": 1},
    "regression": {"ridge": 2, "lightgbm": 3, "catboost": 1, "extra_trees": 2, "mlp": 1},
}
SPACES: Mapping[str, Mapping[str, Any]] = {"extra_trees": {"n_estimators": 100}}
MEANS = {"mlp": 3}  # refits whose mean answers


@dataclass(frozen=True)
class Problem:
    """Rows as they come and encoded: for Sextant train and validation, for all others both together, and test."""

    kind: Kind
    rows: pd.DataFrame
    test: pd.DataFrame
    data: Training
    folds: Folded
    everything: Training
    X_test: np.ndarray

    @property
    def metric(self) -> str:
        return DEFAULT_METRIC[self.kind]

    def judge(self, answers: np.ndarray) -> float:
        return score(self.metric, self.data.task.labels(self.test["target"]), answers)


def main() -> None:
    """Print a table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_500, help="rows of a data set at most")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--best", type=int, default=2, help="trials of a family that take part in the ensemble")
    parser.add_argument("--calibrate", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--folder", type=Path, help="a folder with real files of the sets that are twins otherwise")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sextant-quality")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)
    pythons = {peer: environment(arguments.cache, peer) for peer in arguments.peers}
    sets = {name: loaded(name, arguments) for name in arguments.data}
    results: dict[str, dict[str, Any]] = {name: {"metric": DEFAULT_METRIC[kind]} for name, (_, kind) in sets.items()}
    for seed, (name, (frame, kind)) in product(range(arguments.seeds), sets.items()):
        sides = compared(draw_problem(frame, kind, seed), seed, pythons, arguments)
        for side, value in sides.items():
            results[name].setdefault(side, []).append(value)
        print(json.dumps({"data": name, "seed": seed, **sides}), flush=True)
    print(_table(results))
    print(json.dumps({"name": "quality", **_summary(results, arguments.peers), "sides": results}))


def loaded(name: str, options: argparse.Namespace) -> tuple[pd.DataFrame, Kind]:
    """Return a data set with names of columns that LightGBM takes, and its kind of task."""
    frame, kind = load_set(name, options.rows, options.cache, options.folder)
    return frame.rename(columns=lambda column: re.sub(r'[",:{}\[\]]', "_", column)), kind


def environment(cache: Path, peer: str) -> Path:
    """Return the Python that has a peer, in an environment that is made where there is none."""
    python = cache / peer.lower() / "bin" / "python"
    if not (done := cache / peer.lower() / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache / peer.lower())], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS[peer]], check=True)
        done.touch()
    return python


def draw_problem(frame: pd.DataFrame, kind: Kind, seed: int) -> Problem:
    """Split a data set at random into four fifths and test, and the former into train and validation."""
    rows, test = _divided(frame, kind, 0.2, seed)
    train, valid = _divided(rows, kind, 0.125, seed)
    columns = frame.drop(columns="target")
    numeric = list(columns.select_dtypes("number").columns)
    categorical = [name for name in columns if name not in numeric]
    encoder = Encoder.fit(rows, numeric, categorical)  # one for all: it learns no targets
    task = Task.of(kind, train["target"])
    y, y_valid, y_rows = (task.labels(part["target"]) for part in (train, valid, rows))
    X_valid = encoder.encode(valid)
    data = Training(encoder.encode(train), y, X_valid, y_valid, encoder, task)
    folds = folded(train, y, encoder, task, random_folds(y, task, FOLDS, seed), np.arange(len(train)))
    everything = Training(encoder.encode(rows), y_rows, X_valid, y_valid, encoder, task)
    return Problem(kind, rows, test, data, folds, everything, encoder.encode(test))


def _divided(frame: pd.DataFrame, kind: Kind, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    classes = None if kind == "regression" else frame["target"]
    large, small = train_test_split(frame, test_size=share, random_state=seed, stratify=classes)
    return large.sort_index(), small.sort_index()


def compared(problem: Problem, seed: int, pythons: Mapping[str, Path], options: argparse.Namespace) -> dict[str, float]:
    """Return the test score of every side, and the processor seconds of those that search."""
    started = time.process_time()
    scores = sextant(problem, seed, options)
    seconds = time.process_time() - started
    budget = max(LEAST_S, ceil(seconds / ROUNDED_S) * ROUNDED_S)
    results = {**scores, "LightGBM defaults": plain(problem, seed), "seconds": round(seconds, 1)}
    for peer, python in pythons.items():
        results[peer], took = answered(problem, peer, python, budget, seed, options.cache / "answers")
        results[f"seconds of {peer}"] = round(took, 1)
    return results


def sextant(problem: Problem, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the scores of the family that is best on validation, and of the ensemble, both refitted on all rows."""
    data, sign = problem.data, Metric.named(problem.metric).sign
    tuned = {}
    for name, trials in TRIALS[problem.kind].items():
        seeds = MEANS.get(name, 1)
        tuned[name] = tune(
            name,
            data,
            trials=trials,
            seed=seed,
            metric=problem.metric,
            folds=problem.folds,
            search=Search(space=SPACES.get(name, {})),
            refit=Refit(seeds, problem.everything, mean=seeds > 1, best=options.best),
        )
    best = max(tuned.values(), key=lambda model: sign * model.score)
    blended, _ = blend(
        tuned, data.y, data.y_valid, rounds=50, calibrate=options.calibrate and problem.kind != "regression"
    )
    return {
        ENSEMBLE: problem.judge(blended.model.predict(problem.X_test)),
        BEST: problem.judge(best.model.predict(problem.X_test)),
    }


def plain(problem: Problem, seed: int) -> float:
    """Return the score of LightGBM as it comes, on train and validation rows."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    learner: Any = LGBMRegressor if problem.kind == "regression" else LGBMClassifier
    model = learner(random_state=seed, n_jobs=1, verbose=-1).fit(problem.everything.X, problem.everything.y)
    if problem.kind == "regression":
        return problem.judge(model.predict(problem.X_test))
    shares = model.predict_proba(problem.X_test)
    return problem.judge(shares[:, 1] if problem.kind == "binary" else shares)


def answered(problem: Problem, peer: str, python: Path, seconds: float, seed: int, kept: Path) -> tuple[float, float]:
    """Return the score of a peer that had so many processor seconds, and those that it took.

    What it answered is `kept`, and taken from there where it had the same rows, seed and seconds.
    """
    train, test = problem.rows.to_csv(index=False), problem.test.to_csv(index=False)
    encoder = problem.data.encoder
    about = {"task": problem.kind, "seconds": seconds, "seed": seed, "numeric": list(encoder.numeric)}
    texts = {
        "train.csv": train,
        "test.csv": test,
        "about.json": json.dumps({**about, "categorical": list(encoder.categories)}),
    }
    script = Path(__file__).with_name("peer.py")
    place = kept / peer.lower() / hash_bytes("".join([*PEERS[peer], *texts.values(), script.read_text()]).encode())
    if not (place / "answers.npy").exists():
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / name).write_text(text)
        command, one_thread = [str(python), str(script), peer.lower(), str(place)], dict.fromkeys(THREADS, "1")
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **one_thread})
        if done.returncode:
            raise RuntimeError(f"{peer} failed:\n{done.stderr[-2000:]}")
        shutil.rmtree(place / "models", ignore_errors=True)
    took = float(json.loads((place / "seconds.json").read_text()))
    return problem.judge(np.load(place / "answers.npy")), took


def _summary(results: Mapping[str, Any], peers: Sequence[str]) -> dict[str, Any]:
    """Return on how many sets the ensemble is at or above all peers, where it is below, and the ratio of errors."""
    margins = {name: {peer: _margins(sides, peer) for peer in peers} for name, sides in results.items()}
    above = [name for name, by_peer in margins.items() if all(mean(values) >= 0 for values in by_peer.values())]
    below = {
        name: {peer: round(mean(values), 5) for peer, values in by_peer.items() if mean(values) < -_spread(values)}
        for name, by_peer in margins.items()
    }
    others = peers or ["LightGBM defaults"]
    ratios = [_error(sides, ENSEMBLE) / min(_error(sides, side) for side in others) for sides in results.values()]
    return {
        "ratio": round(exp(mean(map(log, ratios))), 4),
        "at or above all": len(above),
        "of": len(results),
        "below": {name: by_peer for name, by_peer in below.items() if by_peer},
    }


def _margins(sides: Mapping[str, Any], peer: str) -> list[float]:
    """Return by how much the ensemble is better than a peer, for every seed."""
    sign = Metric.named(sides["metric"]).sign
    return [sign * (ours - theirs) for ours, theirs in zip(sides[ENSEMBLE], sides[peer], strict=True)]


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _error(sides: Mapping[str, Any], side: str) -> float:
    value = mean(sides[side])
    return max(1 - value if Metric.named(sides["metric"]).higher_is_better else value, 1e-6)


def _table(results: Mapping[str, Any]) -> str:
    """Return a row for each data set: mean and spread over the seeds, side by side, and the processor seconds."""
    rows = [
        {
            "data": f"{name} ({sides['metric']})",
            **{side: f"{mean(sides[side]):.4f} ± {_spread(sides[side]):.4f}" for side in SIDES if side in sides},
            "s": f"{mean(sides['seconds']):.0f}",
        }
        for name, sides in results.items()
    ]
    return markdown_table(rows)


if __name__ == "__main__":
    main()
