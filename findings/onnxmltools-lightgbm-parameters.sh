#!/usr/bin/env bash
# onnxmltools converts a LightGBM model whatever it was trained with, and drops in silence what it does not know.
#
# Versions: onnxmltools 1.16.0, LightGBM 4.7.0, onnxruntime 1.31.1, Python 3.11.
# Expected: the same answers, or an error as for the objectives "mape" and "cross_entropy".
# Behaviour: `linear_tree`, boosting "rf", `zero_as_missing`, `sigmoid`, "multiclassova" and `reg_sqrt` convert without an
# error or a warning, and answer otherwise. Parameters that do not change how a model answers (dart) are right.
# Seen (largest difference of a probability, or of numbers between 7 and 21; share of the rows that differ):
#   plain            0.00000   0%
#   dart             0.00000   0%
#   linear_tree      0.43      100%
#   rf               0.85      100%      rf, numbers   16.1, 100%: a tenth, for ten trees are not summed but averaged again
#   zero_as_missing  0.26      48%       the rows with a zero somewhere
#   sigmoid=2        0.14      100%
#   multiclassova    0.28      100%      they are made to sum to 1
#   reg_sqrt         11        100%      the square root comes out
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 lightgbm==4.7.0 \
  onnxmltools==1.16.0 onnx==1.23.2 onnxruntime==1.31.1 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import warnings

import lightgbm as lgb
import numpy as np
import onnxruntime as ort
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

warnings.filterwarnings("ignore")
ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 4)).astype(np.float32)
with_zeros = np.where(rng.random(X.shape) < 0.3, 0, X).astype(np.float32)
binary = (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 1500) > 1).astype(int)
three = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
numbers = 10 + 3 * X[:, 0] + X[:, 1] ** 2
BAGGING = {"bagging_fraction": 0.5, "bagging_freq": 1}


def difference(rows, y, **parameters):
    kind = lgb.LGBMRegressor if y is numbers else lgb.LGBMClassifier
    model = kind(n_estimators=10, num_leaves=7, n_jobs=1, verbose=-1, **parameters).fit(rows, y)
    converted = convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, 4]))], zipmap=False)
    answers = ort.InferenceSession(converted.SerializeToString()).run(None, {"X": rows})
    native = model.predict(rows).reshape(-1, 1) if y is numbers else model.predict_proba(rows)
    apart = np.abs(native - answers[-1].reshape(native.shape)).max(axis=1)
    return apart.max(), (apart > 1e-4).mean()


right = {"plain": (X, binary, {}), "dart": (X, binary, {"boosting_type": "dart"}), "numbers": (X, numbers, {})}
wrong = {
    "linear_tree": (X, binary, {"linear_tree": True}),
    "linear_tree, numbers": (X, numbers, {"linear_tree": True}),
    "rf": (X, binary, {"boosting_type": "rf", **BAGGING}),
    "rf, numbers": (X, numbers, {"boosting_type": "rf", **BAGGING}),
    "zero_as_missing": (with_zeros, binary, {"zero_as_missing": True}),
    "sigmoid=2": (X, binary, {"sigmoid": 2.0}),
    "multiclassova": (X, three, {"objective": "multiclassova"}),
    "reg_sqrt": (X, numbers, {"reg_sqrt": True}),
}
for name, (rows, y, parameters) in (right | wrong).items():
    largest, share = difference(rows, y, **parameters)
    print(f"{name:22} differs by {largest:8.5f}, in {share:4.0%} of the rows")
    assert largest < 1e-4 if name in right else largest > 0.1, f"{name} changed"
PYTHON
