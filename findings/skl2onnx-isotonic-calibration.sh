#!/usr/bin/env bash
# skl2onnx converts an isotonic calibration into one without slopes: the copy is right on most rows and wrong on a few.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: as exact as the sigmoid calibration, or an error as for "temperature".
# Behaviour: scikit-learn's isotonic regression is linear between its points. The copy jumps from one value to the next, so
# that a row differs where its score lies between two steps, and only there: labels agree, averages agree, scores do not.
# Seen: 3% of the rows differ, by up to 0.04 or 0.05 of a probability; by less than 1e-6 for "sigmoid".
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
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 800) > 1).astype(int)
bases = [LogisticRegression(), GaussianNB(), RandomForestClassifier(10, max_depth=4, random_state=0)]
for method in ("sigmoid", "isotonic"):
    for base in bases:
        model = CalibratedClassifierCV(base, method=method, cv=2).fit(X, y)
        converted = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options={"zipmap": False})
        labels, answers = ort.InferenceSession(converted.SerializeToString()).run(None, {"X": X})
        apart = np.abs(model.predict_proba(X) - answers).max(axis=1)
        others = (labels.ravel() != model.predict(X)).mean()
        print(
            f"{method:8} {type(base).__name__:22} {(apart > 1e-4).mean():.1%} of the rows differ, by up to "
            f"{apart.max():.1g}; {others:.1%} of the labels"
        )
        wrong = (apart > 1e-4).mean() > 0.005 and apart.max() > 0.01
        assert wrong if method == "isotonic" else apart.max() < 1e-5, f"{method} changed"
PYTHON
