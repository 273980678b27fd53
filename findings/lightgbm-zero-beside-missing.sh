#!/usr/bin/env bash
# A LightGBM model of a column that held 1 and missing values answers 0 as if it were missing, and 0.9 as if it were 1.
#
# Versions: LightGBM 4.7.0, Python 3.11, `zero_as_missing` off.
# Expected: 0 is a number below 1 and goes where 0.9 goes.
# Behaviour: the only split lies between 0 and 1 by LightGBM's bins, as they always have a border at zero; missing values go
# left of it. A flag that training saw as 1 or missing and serving sends as 1 or 0 is answered as it was meant, by luck; a
# share of 0.01 in its place counts as 1.
# Seen: 1.0: 0.07, missing: 0.94, 0.0: 0.94, 0.9: 0.07, 0.01: 0.07, 2.0: 0.07, -1.0: 0.94.
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
X = np.where(rng.random((500, 1)) < 0.5, 1.0, np.nan)
y = np.isnan(X[:, 0]).astype(float)
parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "deterministic": True}
model = lgb.train(parameters, lgb.Dataset(X, y), 20)
values = [1.0, np.nan, 0.0, 0.9, 0.01, 2.0, -1.0]
answers = model.predict(np.array([values]).T)
print({value: round(float(answer), 2) for value, answer in zip(values, answers)})
assert answers[2] == answers[1] > 0.9, "zero no longer goes with missing values"
assert answers[3] == answers[4] == answers[0] < 0.1, "shares no longer go with 1"
PYTHON
