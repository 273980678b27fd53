#!/usr/bin/env bash
# LightGBM takes a missing label for 0, and labels 1 and 2 of two classes for one class.
#
# Versions: LightGBM 4.7.0 (`lgb.train`), Python 3.11.
# Expected: an error, as scikit-learn raises one.
# Behaviour: NaN labels train exactly the model of zeros in their place. With labels 1 and 2 every row counts as positive
# and the model answers 1 to everything. Neither says a word.
# Seen: identical answers; 1.0 1.0 1.0 1.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 lightgbm==4.7.0
venv/bin/python - <<'PYTHON'
import lightgbm as lgb
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(500, 2))
y = (X[:, 0] > 0).astype(float)
parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "deterministic": True}


def answers(labels):
    return lgb.train(parameters, lgb.Dataset(X, labels), 10).predict(X)


late = np.arange(500) < 50
missing, zero = answers(np.where(late, np.nan, y)), answers(np.where(late, 0, y))
print("missing labels and zeros answer alike:", np.array_equal(missing, zero))
print("labels 1 and 2:", answers(y + 1)[:4])
assert np.array_equal(missing, zero) and not np.array_equal(zero, answers(y)), "missing labels changed"
assert (answers(y + 1) > 0.999).all(), "labels 1 and 2 changed"
PYTHON
