"""The search for LightGBM's settings: Sextant's beside Optuna's loop around scikit-learn's `cross_val_score`.

Both sides get the same feature frame (training rows of flight_delays, a sample of them), the same folds, the family's
search space and first trial, the same number of boosting rounds without early stopping, and all cores; all else is each
side's own way, such as 255 bins for the loop and 63 for Sextant, its pruning and its batches. A side's seconds are all
that lie between the frame and the last trial: for Sextant encoding, binning and starting its workers too. Each runs in
a process of its own, whose peak memory is that of the process and of its workers together.

`ratio` is how many trials per second Sextant does for one of the loop; it counts only beside `best`, the best score of
each side, which luck moves by 0.002: compare several seeds. On a machine with other work, the seconds of CPU, which
include imports and reading the frame, are the fairer measure.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

USE_CASE = "flight_delays"
CONFIGS = Path(__file__).resolve().parent.parent / "configs"
FOLDS = 5
NAMES = {"feature_fraction": "colsample_bytree", "bagging_fraction": "subsample", "lambda_l2": "reg_lambda",
         "min_data_in_leaf": "min_child_samples"}  # fmt: skip


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0, help="of folds, models and both searches")
    arguments = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait do not take the core that others work on
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "frame.parquet"
        alone(features, place, arguments.rows)
        sides = {side.__name__: alone(side, place, arguments) for side in (plain, sextant)}
        shared = alone(sharing, place, arguments)
    for name, side in sides.items():
        print(
            f"{name}: {side['seconds']:.1f} s ({side['cpu_s']:.1f} s of CPU) for {arguments.trials} trials, "
            f"best ROC AUC {side['best']:.5f}, peak memory {side['peak_mb']:.0f} MB"
        )
    print(f"a fit on bins that trials share takes {shared:.2f} of one that bins for itself")
    ratio = sides["plain"]["seconds"] / sides["sextant"]["seconds"]
    print(f"ratio {ratio:.2f}")
    print(json.dumps({"name": "tuning", "ratio": ratio, "sides": sides, "shared": shared, "settings": vars(arguments)}))


def alone(work: Any, *arguments: Any) -> Any:
    """Run a function in a fresh process and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def features(place: Path, rows: int) -> None:
    """Write the feature frame of a sample of the training examples, in their order."""
    from ml.declaration.use_case import UseCaseSpec
    from ml.examples.build import make_examples
    from ml.features.define import define_features
    from ml.features.matrix import feature_matrix
    from ml.tables.sources import load_table

    spec = UseCaseSpec.model_validate(yaml.safe_load((CONFIGS / USE_CASE / "defs.yaml").read_text())["attributes"])
    tables = {name: load_table(USE_CASE, name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    examples = make_examples(USE_CASE, spec, tables).to_pandas().query("split == 'train'")
    examples = examples.sample(rows, random_state=0).sort_index().reset_index(drop=True)
    definitions = define_features(USE_CASE, spec, tables)
    frame = feature_matrix(spec, definitions, tables, examples)
    # LightGBM takes no names with brackets and the like.
    names = {name: f"f{number}" for number, name in enumerate([*definitions.numeric, *definitions.categorical])}
    frame = frame[[*names, "target"]].rename(columns=names)
    frame.attrs = {kind: [names[name] for name in getattr(definitions, kind)] for kind in ("numeric", "categorical")}
    frame.to_parquet(place)


def _folds(y: np.ndarray, seed: int) -> list[Any]:
    from ml.tasks.folds import random_folds
    from ml.tasks.task import Task

    return random_folds(y, Task(), FOLDS, seed)


def plain(place: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Search with Optuna as its tutorials use it, and return its figures."""
    import lightgbm as lgb
    import optuna
    from sklearn.model_selection import cross_val_score

    from ml.models.trees.lightgbm import LightGBM

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    frame, family = pd.read_parquet(place), LightGBM()
    X, y = frame.drop(columns="target"), frame["target"].to_numpy()
    X = X.astype(dict.fromkeys(frame.attrs["categorical"], "category"))
    cv = [(fold.learned, fold.judged) for fold in _folds(y, arguments.seed)]
    since = time.perf_counter()

    def objective(trial: optuna.Trial) -> float:
        params = {NAMES.get(name, name): value for name, value in family.suggest(trial).items()}
        model = lgb.LGBMClassifier(
            **params,
            n_estimators=arguments.rounds,
            subsample_freq=1,
            random_state=arguments.seed,
            verbosity=-1,
            n_jobs=os.cpu_count(),
        )
        return float(cross_val_score(model, X, y, cv=cv, scoring="roc_auc").mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=arguments.seed))
    study.enqueue_trial(family.defaults())
    study.optimize(objective, n_trials=arguments.trials)
    return _side(since, study.best_value, arguments.trials, 0)


def sextant(place: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Search as Sextant does, on the same folds, and return its figures."""
    from ml.models.trees.lightgbm import LightGBM
    from ml.search.evaluator import Evaluator, Fitter
    from ml.search.folds import folded
    from ml.search.space import Space
    from ml.search.study import Search, Study
    from ml.search.workers import evaluating
    from ml.tasks.encoding import Encoder
    from ml.tasks.task import Task

    frame, family = pd.read_parquet(place), LightGBM()
    y = frame["target"].to_numpy(dtype="int8")
    since = time.perf_counter()
    encoder = Encoder.fit(frame, frame.attrs["numeric"], frame.attrs["categorical"])
    problem = folded(frame, y, encoder, Task(), _folds(y, arguments.seed), np.arange(len(y)))
    search, space = (
        Search(batch=3 * arguments.workers, workers=arguments.workers),
        Space(family, {}, {"rounds": arguments.rounds}),
    )
    with evaluating(Evaluator(Fitter(family, arguments.seed), problem.parts, "roc_auc"), search.workers) as evaluate:
        done = list(Study(space, search, "roc_auc", arguments.seed).run(arguments.trials, evaluate))
    best = max(trial.score for trial in done if trial.score is not None)
    pruned = sum(trial.state == "PRUNED" for trial in done)
    return _side(since, best, arguments.trials, arguments.workers) | {"pruned": pruned}


def sharing(place: Path, arguments: argparse.Namespace) -> float:
    """Return the seconds of fits on shared bins over those of fits that bin the same fold anew."""
    from ml.models.trees.lightgbm import LightGBM
    from ml.search.folds import folded
    from ml.tasks.encoding import Encoder
    from ml.tasks.task import Task

    frame, family = pd.read_parquet(place), LightGBM()
    y = frame["target"].to_numpy(dtype="int8")
    encoder = Encoder.fit(frame, frame.attrs["numeric"], frame.attrs["categorical"])
    data = folded(frame, y, encoder, Task(), _folds(y, arguments.seed), np.arange(len(y))).parts[0]
    params, bins = {**family.defaults(), "rounds": arguments.rounds}, family.prepare(data)
    seconds = [0.0, 0.0]
    for number in range(6):
        since = time.perf_counter()
        family.fit(data, params, seed=number, prepared=bins if number % 2 else None)
        seconds[number % 2] += time.perf_counter() - since
    return round(seconds[1] / seconds[0], 3)


def _side(since: float, best: float, trials: int, workers: int) -> dict[str, float]:
    seconds = time.perf_counter() - since
    driver, largest_worker = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak = driver.ru_maxrss + workers * largest_worker.ru_maxrss
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (driver, largest_worker))
    return {
        "seconds": seconds, "cpu_s": cpu, "trials_per_s": trials / seconds, "best": best, "peak_mb": peak / 1024,
    }  # fmt: skip


if __name__ == "__main__":
    main()
