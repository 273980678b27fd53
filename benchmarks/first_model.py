"""From a CSV file to an answering Bento: `sextant new` and `sextant demo`, beside a plain script with the same models.

The file has generated customers, of whom some leave; 50,000 rows of twelve columns if nothing else is said. The plain
script reads it, splits it, searches the same families in the same ranges, from the same settings on, with as many
trials and the same library, and scores the test rows; it stores nothing, checks nothing and serves nothing. Each side
is a process with its own folder, and its processor time is that of all processes below it. `ratio` is that of `new` and
`demo` over that of the plain script.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from demo import ROOT, sampled

PLAIN = """
import sys, warnings
import lightgbm, numpy as np, optuna, pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
rows = pd.read_csv(sys.argv[1])
y, X = (rows["left"] == "yes").astype(int), rows.drop(columns=["left", "customer_id"])
texts = list(X.select_dtypes(exclude="number"))
rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
X_train, X_valid, y_train, y_valid = train_test_split(rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0)
numbers = [name for name in X if name not in texts]
coded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), texts), (StandardScaler(), numbers))
best = (0.0, None)


def keep(model, score):
    global best
    best = max(best, (score, model), key=lambda pair: pair[0])
    return score


def linear(trial):
    model = make_pipeline(coded, LogisticRegression(C=trial.suggest_float("C", 1e-4, 100.0, log=True), max_iter=1000))
    model.fit(X_train, y_train)
    return keep(model, roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1]))


class Coded:
    def __init__(self, model): self.model = model
    def predict_proba(self, frame): return self.model.predict_proba(frame.astype(dict.fromkeys(texts, "category")))


def boosted(trial):
    model = lightgbm.LGBMClassifier(
        n_estimators=1000, n_jobs=1, verbose=-1, subsample_freq=1,
        learning_rate=trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
        num_leaves=trial.suggest_int("num_leaves", 15, 127, log=True),
        min_child_samples=trial.suggest_int("min_child_samples", 10, 1000, log=True),
        colsample_bytree=trial.suggest_float("colsample_bytree", 0.15, 1.0),
        subsample=trial.suggest_float("subsample", 0.5, 1.0),
        reg_lambda=trial.suggest_float("reg_lambda", 1e-3, 100.0, log=True),
        cat_smooth=trial.suggest_float("cat_smooth", 10.0, 300.0, log=True),
    )
    frames = [frame.astype(dict.fromkeys(texts, "category")) for frame in (X_train, X_valid)]
    model.fit(frames[0], y_train, eval_set=[(frames[1], y_valid)], eval_metric="binary_logloss",
              callbacks=[lightgbm.early_stopping(30, verbose=False)])
    return keep(Coded(model), roc_auc_score(y_valid, model.predict_proba(frames[1])[:, 1]))


USUAL = dict(learning_rate=0.1, num_leaves=31, min_child_samples=20, reg_lambda=1e-3, cat_smooth=10.0, subsample=1.0)
FIRST = [
    dict(learning_rate=0.02, num_leaves=31, min_child_samples=100, reg_lambda=1.0, cat_smooth=50.0, subsample=0.8,
         colsample_bytree=0.4),
    dict(USUAL, colsample_bytree=1.0),
    dict(USUAL, learning_rate=0.03, num_leaves=127, min_child_samples=10, colsample_bytree=0.9),
]
for objective, trials, first in ((linear, 5, [{"C": 1.0}, {"C": 0.01}]), (boosted, 10, FIRST)):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    for settings in first:
        study.enqueue_trial(settings)
    study.optimize(objective, n_trials=trials)
print("test roc_auc", round(roc_auc_score(y_test, best[1].predict_proba(X_test)[:, 1]), 4))
"""


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, file = folder / "project", folder / "customers.csv"
        shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".git", ".venv", ".sextant", "__pycache__"))
        customers(arguments.rows).to_csv(file, index=False)
        command = [sys.executable, "-c", "from dagster_project.commands.main import main; main()"]
        steps = {
            "new": measured([*command, "new", "left", "--from", str(file), "--target", "left"], project, folder),
            "demo": measured([*command, "demo", "left"], project, folder),
            "plain": measured([sys.executable, "-c", PLAIN, str(file)], folder, folder),
        }
    ours = sum(steps[step]["processor_s"] + steps[step]["bento_processor_s"] for step in ("new", "demo"))
    for step, figures in steps.items():
        print(f"{step:<6} {figures}", flush=True)
    ratio = round(ours / steps["plain"]["processor_s"], 3)
    print(json.dumps({"name": f"first model of {arguments.rows} rows", "ratio": ratio, "processor_s": round(ours, 1)}))


def customers(rows: int) -> pd.DataFrame:
    """Return generated customers, of whom a quarter leaves, by rules with noise."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"use_{place}": draw.gamma(2, 10, rows).round(2) for place in range(6)})
    frame["tenure"] = draw.integers(0, 72, rows)
    frame["plan"] = draw.choice(["basic", "plus", "pro"], rows, p=[0.5, 0.3, 0.2])
    frame["region"] = draw.choice([f"region {place}" for place in range(20)], rows)
    frame["contract"] = draw.choice(["month", "year"], rows)
    risk = 0.04 * frame["use_0"] - 0.06 * frame["tenure"] + (frame["contract"] == "month") + (frame["plan"] == "basic")
    frame["left"] = np.where(risk - 1 + draw.logistic(0, 1, rows) > 0, "yes", "no")
    frame.insert(0, "customer_id", [f"C{number:06d}" for number in draw.permutation(rows)])
    return frame


def measured(command: list[str], project: Path, folder: Path) -> dict[str, float]:
    """Return seconds and processor seconds of a command and its processes, those of a served Bento apart."""
    home = folder / "home"
    environment = os.environ | {
        "SEXTANT_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(project),
        "PYTHONHASHSEED": "0",
    }
    started, spent = time.perf_counter(), dict[tuple[int, float], tuple[float, bool]]()
    process = psutil.Popen(command, env=environment, cwd=project)
    while process.poll() is None:
        sampled(process, spent)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_s": round(sum(seconds for seconds, served in spent.values() if not served), 1),
        "bento_processor_s": round(sum(seconds for seconds, served in spent.values() if served), 1),
    }


if __name__ == "__main__":
    main()
