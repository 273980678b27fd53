"""The quality of the answers: Sextant's families and their ensemble beside LightGBM, LightGBM with Optuna, and FLAML.

Every side sees the same rows: 60% train, 20% validation, 20% test, drawn anew for every seed. A side may use train and
validation as it likes; all are judged on test, by the task's own metric. The sides that search have about the same time
on one thread: Sextant's families run `--trials` each and are timed, the others search for that long. Of few rows
Sextant judges settings and blends on five folds (`tuning.folds: 5`), of many on the validation rows. FLAML is left out,
and the output says so, where it is not installed (`pip install flaml`). It searches LightGBM, both forests and, where
no value is missing, its logistic regression; not CatBoost, neighbours, and XGBoost, of which it takes no version 3.

`ratio` is the mean, over data sets, of the ensemble's error (1 - AUC, log loss, RMSE) over that of default LightGBM.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ml.base.text import markdown_table
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.matrix import feature_matrix
from ml.models.family import Training
from ml.search.ensemble import blend
from ml.search.folds import Folded, folded
from ml.search.tuning import Refit, tune
from ml.tables.sources import load_table
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.metrics import DEFAULT_METRIC, Kind, Metric, Task, score

SIDES = ("LightGBM defaults", "LightGBM + Optuna", "FLAML", "Sextant, best family", "Sextant, ensemble")
FAMILIES: Mapping[Kind, tuple[str, ...]] = {
    "binary": ("logistic", "random_forest", "extra_trees", "hist_boosting", "lightgbm", "mlp"),
    "multiclass": ("logistic", "random_forest", "extra_trees", "hist_boosting", "lightgbm", "mlp"),
    "regression": ("ridge", "random_forest", "extra_trees", "hist_boosting", "lightgbm", "mlp"),
}
BUNDLED: Mapping[str, Kind] = {
    "breast_cancer": "binary", "digits": "multiclass", "wine": "multiclass", "diabetes": "regression",
}  # fmt: skip
DATA = [*BUNDLED, "flight_delays"]
FOLDS, FEW_ROWS = 5, 5_000
FLAML_TASKS: Mapping[Kind, tuple[str, str]] = {
    "binary": ("classification", "roc_auc"), "multiclass": ("classification", "log_loss"),
    "regression": ("regression", "rmse"),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Encoded rows for fitting, and those that answers are judged on; `folds` of the training rows if these are few."""

    data: Training
    folds: Folded | None
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def metric(self) -> str:
        return DEFAULT_METRIC[self.data.task.kind]

    @property
    def everything(self) -> tuple[np.ndarray, np.ndarray]:
        """The train and validation rows together."""
        return np.concatenate([self.data.X, self.data.X_valid]), np.concatenate([self.data.y, self.data.y_valid])

    def judge(self, answers: np.ndarray) -> float:
        return score(self.metric, self.y_test, answers)


def main() -> None:
    """Print a table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=3, help="settings that each family tries")
    parser.add_argument("--rows", type=int, default=16_000, help="flights to sample")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results: dict[str, dict[str, Any]] = {}
    for name in arguments.data:
        frame, kind = loaded(name, arguments.rows)
        runs = [compared(draw_problem(frame, kind, seed), arguments.trials, seed) for seed in range(arguments.seeds)]
        results[name] = {
            "metric": DEFAULT_METRIC[kind],
            **{side: _spread([run[side] for run in runs]) for side in runs[0]},
        }
        print(f"{name} is done after {results[name]['seconds']['mean']:.0f} s a side", flush=True)
    print(_table(results))
    if find_spec("flaml") is None:
        print("FLAML is not installed, so it was not compared: pip install flaml")
    ratios = [_error(sides, "Sextant, ensemble") / _error(sides, "LightGBM defaults") for sides in results.values()]
    print(json.dumps({"name": "quality", "ratio": round(mean(ratios), 4), "sides": results}))


def loaded(name: str, rows: int) -> tuple[pd.DataFrame, Kind]:
    """Return a data set as a frame with the column `target`, and its kind of task."""
    if name == "flight_delays":
        return _flights(rows), "binary"
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")(as_frame=True)
    target = data.target.astype(str) if BUNDLED[name] == "multiclass" else data.target
    return data.data.assign(target=target), BUNDLED[name]


def _flights(rows: int) -> pd.DataFrame:
    path = Path(__file__).parents[1] / "configs" / "flight_delays" / "defs.yaml"
    spec = UseCaseSpec.model_validate(yaml.safe_load(path.read_text())["attributes"])
    tables = {name: load_table("quality", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    examples = make_examples("quality", spec, tables).to_pandas().sample(rows, random_state=0).sort_index()
    definitions = define_features("quality", spec, tables)
    matrix = feature_matrix(spec, definitions, tables, examples)
    return matrix[[*definitions.numeric, *definitions.categorical, "target"]]


def draw_problem(frame: pd.DataFrame, kind: Kind, seed: int) -> Problem:
    """Split a data set into three random parts, encoded by what the first has seen."""
    order = np.random.default_rng(seed).permutation(len(frame))
    train, valid, test = (frame.iloc[part] for part in np.split(order, [len(order) * 3 // 5, len(order) * 4 // 5]))
    columns = frame.drop(columns="target")
    numeric = list(columns.select_dtypes("number").columns)
    encoder = Encoder.fit(train, numeric, [name for name in columns if name not in numeric])
    task = Task.of(kind, train["target"])
    X, X_valid, X_test = map(encoder.encode, (train, valid, test))
    y, y_valid, y_test = (task.labels(part["target"]) for part in (train, valid, test))
    few = len(train) < FEW_ROWS
    folds = folded(train, y, encoder, task, random_folds(y, task, FOLDS, seed), np.arange(len(train))) if few else None
    return Problem(Training(X, y, X_valid, y_valid, encoder, task), folds, X_test, y_test)


def compared(problem: Problem, trials: int, seed: int) -> dict[str, float]:
    """Return the test score of every side, and Sextant's seconds, which the others had too."""
    started = time.perf_counter()
    scores = sextant(problem, trials, seed)
    seconds = time.perf_counter() - started
    scores |= {"LightGBM defaults": plain(problem, seed), "LightGBM + Optuna": searched(problem, seconds, seed)}
    if find_spec("flaml") is not None:
        scores["FLAML"] = flaml(problem, seconds, seed)
    return {**{side: scores[side] for side in SIDES if side in scores}, "seconds": seconds}


def sextant(problem: Problem, trials: int, seed: int) -> dict[str, float]:
    """Return the scores of the family that is best on validation, and of the ensemble, both refitted on all rows."""
    data, sign = problem.data, Metric.named(problem.metric).sign
    again = Refit(everything=replace(data, X=problem.everything[0], y=problem.everything[1]))
    tuned = {
        name: tune(name, data, trials=trials, seed=seed, metric=problem.metric, refit=again, folds=problem.folds)
        for name in FAMILIES[data.task.kind]
    }
    best = max(tuned.values(), key=lambda model: sign * model.score)
    blended, _ = blend(tuned, data.y, data.y_valid, rounds=50)
    return {
        "Sextant, best family": problem.judge(best.model.predict(problem.X_test)),
        "Sextant, ensemble": problem.judge(blended.model.predict(problem.X_test)),
    }


def plain(problem: Problem, seed: int) -> float:
    """Return the score of LightGBM as it comes, on train and validation rows."""
    return problem.judge(_answers(_lightgbm(problem, seed).fit(*problem.everything), problem))


def searched(problem: Problem, seconds: float, seed: int) -> float:
    """Return the score of what many write first: an Optuna loop over cross_val_score, and a refit on all rows."""
    import optuna
    from sklearn.model_selection import cross_val_score

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scoring = {"binary": "roc_auc", "multiclass": "neg_log_loss", "regression": "neg_root_mean_squared_error"}
    make: Callable[..., Any] = partial(_lightgbm, problem, seed)

    def objective(trial: optuna.Trial) -> float:
        params = {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 7, 127, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", 5, 100, log=True),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 100.0, log=True),
            "n_estimators": trial.suggest_int("n_estimators", 50, 500, log=True),
        }
        scores = cross_val_score(make(**params), *problem.everything, scoring=scoring[problem.data.task.kind])
        return float(scores.mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds)
    return problem.judge(_answers(make(**study.best_params).fit(*problem.everything), problem))


def flaml(problem: Problem, seconds: float, seed: int) -> float:
    """Return the score of FLAML's search over its own families."""
    from flaml import AutoML

    task, metric = FLAML_TASKS[problem.data.task.kind]
    X, y = problem.everything
    model = AutoML()
    linear = task == "classification" and not np.isnan(X).any()  # FLAML's takes no missing values
    families = ["lgbm", "rf", "extra_tree", *(["lrl1"] if linear else [])]
    model.fit(
        X, y, task=task, metric=metric, time_budget=seconds, seed=seed, n_jobs=1, verbose=0, estimator_list=families
    )
    return problem.judge(_answers(model, problem))


def _lightgbm(problem: Problem, seed: int, **params: Any) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    family = LGBMRegressor if problem.data.task.kind == "regression" else LGBMClassifier
    return family(random_state=seed, n_jobs=1, verbose=-1, **params)


def _answers(model: Any, problem: Problem) -> np.ndarray:
    if problem.data.task.kind == "regression":
        return np.asarray(model.predict(problem.X_test), np.float64)
    shares = np.asarray(model.predict_proba(problem.X_test), np.float64)
    return shares[:, 1] if problem.data.task.kind == "binary" else shares


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(mean(values), 5), "spread": round(stdev(values), 5) if len(values) > 1 else 0.0}


def _error(sides: Mapping[str, Any], side: str) -> float:
    value = float(sides[side]["mean"])
    return 1 - value if Metric.named(sides["metric"]).higher_is_better else value


def _table(results: Mapping[str, Any]) -> str:
    """Return a row for each data set: mean and spread over the seeds, side by side."""
    rows = {f"{name} ({sides['metric']})": sides for name, sides in results.items()}
    cells = {
        name: {side: f"{sides[side]['mean']:.4f} ± {sides[side]['spread']:.4f}" for side in SIDES if side in sides}
        for name, sides in rows.items()
    }
    return markdown_table([{"data": name, **sides} for name, sides in cells.items()])


if __name__ == "__main__":
    main()
