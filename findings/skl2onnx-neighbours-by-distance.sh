#!/usr/bin/env bash
# skl2onnx converts nearest neighbours that are weighed by distance, and answers other probabilities.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: as exact as `weights="uniform"`; for rows that the model has seen, their own label (they are at distance 0).
# Behaviour: the classifier's answer differs on about half of the rows, seen or not, and the regressor's on all.
# Seen: classifier: uniform 0%, distance 49% of the rows, by up to 0.8; regressor 100%, by a quarter of the answers' spread.
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
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
fresh = (X + 0.01).astype(np.float32)
y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 800) > 1).astype(int)
numbers = 10 + 3 * X[:, 0] + X[:, 1] ** 2


def answers(model, rows, options=None):
    converted = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options=options)
    return ort.InferenceSession(converted.SerializeToString()).run(None, {"X": rows})[-1]


for weights in ("uniform", "distance"):
    model = KNeighborsClassifier(weights=weights).fit(X, y)
    for name, rows in (("seen", X), ("fresh", fresh)):
        apart = np.abs(model.predict_proba(rows) - answers(model, rows, {"zipmap": False})).max(axis=1)
        print(f"{weights}, {name} rows: {(apart > 1e-4).mean():.0%} differ, by up to {apart.max():.2f}")
        assert (apart > 1e-4).mean() > 0.2 if weights == "distance" else apart.max() < 1e-5, f"{weights} changed"
model = KNeighborsRegressor(weights="distance").fit(X, numbers)
native = model.predict(fresh)
apart = np.abs(native - answers(model, fresh).ravel()) / np.ptp(native)
print(f"numbers: {(apart > 1e-4).mean():.0%} of the rows differ, by up to {apart.max():.2f} of the spread")
assert (apart > 1e-4).mean() > 0.5 and apart.max() > 0.05, "numbers changed"
PYTHON
