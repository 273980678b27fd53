#!/usr/bin/env bash
# skl2onnx feeds a calibration probabilities where it was fitted on scores, once the calibrated model is a pipeline.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: a calibrated logistic regression converts as exactly behind a scaler as without one.
# Behaviour: scikit-learn calibrates `decision_function` where a model has one, as a pipeline that ends in a logistic
# regression has. The copy of a pipeline calibrates its probabilities with the same slope and intercept, so that all answers
# lie close to each other.
# Seen: a logistic regression 1e-7; behind a scaler all rows differ, by 0.4 of a probability and more; a pipeline that ends
# in a naive Bayes, which has no scores, 1e-6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 skl2onnx==1.20.0 \
  onnx==1.23.2 onnxruntime==1.31.1 protobuf==6.33.6
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
y = (X[:, 0] + X[:, 1] + rng.normal(0, 0.5, 800) > 0).astype(int)
models = {
    "logistic regression": (LogisticRegression(), True),
    "scaler, naive Bayes": (make_pipeline(StandardScaler(), GaussianNB()), True),
    "scaler, logistic regression": (make_pipeline(StandardScaler(), LogisticRegression()), False),
}
for name, (base, right) in models.items():
    model = CalibratedClassifierCV(base, method="sigmoid", cv=2).fit(X, y)
    converted = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options={"zipmap": False})
    answers = ort.InferenceSession(converted.SerializeToString()).run(None, {"X": X})[1]
    native = model.predict_proba(X)
    apart = np.abs(native - answers).max(axis=1)
    print(
        f"{name}: {(apart > 1e-4).mean():.0%} of the rows differ, by up to {apart.max():.2g}; from "
        f"{native[:, 1].min():.2f} to {native[:, 1].max():.2f} and {answers[:, 1].min():.2f} to {answers[:, 1].max():.2f}"
    )
    assert apart.max() < 1e-5 if right else (apart > 1e-4).mean() > 0.9 and apart.max() > 0.2, f"{name} changed"
PYTHON
