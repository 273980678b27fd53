#!/usr/bin/env bash
# CatBoost's leaves for quantiles and absolute errors go wrong as soon as rows have different weights.
#
# Versions: catboost 1.2.10, Python 3.11.
# Expected: a row of weight 3 is three rows, so that half of the weight lies below a model of the median.
# Behaviour: the leaf estimation `Exact`, the default of these losses, does not; each round moves the answers further away.
# Seen: of rows repeated 0.50 lie below, of the same rows weighed 0.26; with `Gradient` leaves 0.50.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 catboost==1.2.10
venv/bin/python - <<'PYTHON'
import catboost
import numpy as np

rng = np.random.default_rng(0)
x, y = rng.normal(size=(2000, 1)), rng.exponential(size=2000)
weights = np.where(y > np.median(y), 3, 1)
rows = np.repeat(np.arange(2000), weights)


def below(X, target, weight=None, **options):
    model = catboost.CatBoost(
        {
            "loss_function": "Quantile:alpha=0.5",
            "iterations": 200,
            "learning_rate": 0.1,
            "depth": 2,
            "thread_count": 1,
            "logging_level": "Silent",
            "allow_writing_files": False,
            **options,
        }
    )
    model.fit(catboost.Pool(X, target, weight=weight))
    return np.average(y <= model.predict(x), weights=weights)


repeated, weighed = below(x[rows], y[rows]), below(x, y, weights)
by_gradient = below(x, y, weights, leaf_estimation_method="Gradient")
print(f"weight below the median: repeated {repeated:.2f}, weighed {weighed:.2f}, with Gradient leaves {by_gradient:.2f}")
assert abs(repeated - 0.5) < 0.02, "the median of repeated rows changed"
assert weighed < 0.35, "the median of weighed rows changed"
assert abs(by_gradient - 0.5) < 0.02, "Gradient leaves changed"
PYTHON
