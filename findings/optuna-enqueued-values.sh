#!/usr/bin/env bash
# Optuna uses an enqueued value that lies outside of the range, and records it as a value of that range.
#
# Versions: Optuna 5.0.0, Python 3.11.
# Expected: an error, or a value within the range that the objective asks for.
# Behaviour: the objective gets 50.0 from `suggest_float("x", 0, 1)` with a warning; the trial is complete, may become the
# best, and stays in the study that later samplers learn from.
# Seen: 50.0 from suggest_float("x", 0, 1), and the best trial's distribution says low=0, high=1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  optuna==5.0.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import warnings

import optuna

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(direction="maximize")
study.enqueue_trial({"x": 50.0})
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
best = study.best_trial
print(best.params, best.distributions["x"], best.state)
assert best.params == {"x": 50.0} and best.value == 50.0, "values out of range changed"
assert (best.distributions["x"].low, best.distributions["x"].high) == (0, 1), "the distribution changed"
PYTHON
