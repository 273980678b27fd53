#!/usr/bin/env bash
# onnxmltools gives trees of XGBoost's forests to the wrong classes, and drops the link of "reg:logistic".
#
# Versions: onnxmltools 1.16.0, xgboost 3.2.0 (its CPU build), onnxruntime 1.31.1, Python 3.11.
# Expected: the same answers, or an error as for "dart", "gblinear" and `missing=0`.
# Behaviour: with several trees in a round (`num_parallel_tree`, XGBRFClassifier) and three classes, tree i goes to the class
# i modulo 3, where XGBoost counts `num_parallel_tree` trees for each class in turn; one tree in a round is right, and so are
# two classes of a forest. "reg:logistic" answers the sum of the leaves, without the logistic function, plus its base score
# as if that were no probability.
# Seen: largest difference: boosting 0.0, its forests 0.63, a random forest 0.45, of two classes 0.0; "reg:logistic" 1.6,
# where answers lie between 0 and 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 xgboost-cpu==3.2.0 \
  onnxmltools==1.16.0 onnx==1.23.2 onnxruntime==1.31.1 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime as ort
import xgboost as xgb
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
two = (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 800) > 1).astype(int)
three = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
shares = 1 / (1 + np.exp(-X[:, 0]))
SMALL = {"n_estimators": 10, "max_depth": 3, "n_jobs": 1}
models = {
    "boosting, three classes": (xgb.XGBClassifier(**SMALL), three, True),
    "boosted forests, three classes": (xgb.XGBClassifier(num_parallel_tree=3, **SMALL), three, False),
    "random forest, three classes": (xgb.XGBRFClassifier(**SMALL), three, False),
    "random forest, two classes": (xgb.XGBRFClassifier(**SMALL), two, True),
    "reg:logistic": (xgb.XGBRegressor(objective="reg:logistic", **SMALL), shares, False),
    "reg:squarederror": (xgb.XGBRegressor(**SMALL), shares, True),
}
for name, (model, y, right) in models.items():
    model.fit(X, y)
    converted = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, 4]))])
    answers = ort.InferenceSession(converted.SerializeToString()).run(None, {"X": X})[-1]
    native = model.predict(X) if y is shares else model.predict_proba(X)
    apart = np.abs(native - answers.reshape(native.shape)).max()
    print(f"{name:31} differs by up to {apart:.2g}")
    if name == "reg:logistic":
        shift = answers.ravel() - np.log(native / (1 - native))
        assert np.ptp(shift) < 1e-4, "reg:logistic is no longer the logit and a constant"
    assert apart < 1e-4 if right else apart > 0.05, f"{name} changed"
PYTHON
