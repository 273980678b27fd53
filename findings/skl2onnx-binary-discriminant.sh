#!/usr/bin/env bash
# skl2onnx squares the odds of a linear discriminant analysis of two classes; of three classes it is exact.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: the same probabilities for two classes as for three.
# Behaviour: the copy applies a softmax to the scores -s and +s, where scikit-learn applies a logistic function to s: the
# odds come out squared. Labels and rankings agree, so that a test by accuracy or ROC AUC passes.
# Seen: two classes: 100% of the rows differ, by up to 0.15 of a probability, 0% of the labels; p² / (p² + (1 - p)²) is what
# comes out. Three classes: 1e-7.
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
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
score = X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 800)
for classes, limits in ((2, [1]), (3, [0.5, 1.5])):
    model = LinearDiscriminantAnalysis().fit(X, np.digitize(score, limits))
    converted = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options={"zipmap": False})
    labels, answers = ort.InferenceSession(converted.SerializeToString()).run(None, {"X": X})
    p = model.predict_proba(X)
    apart, squared = np.abs(p - answers).max(), np.abs(p**2 / (p**2).sum(axis=1, keepdims=True) - answers).max()
    others = (labels.ravel() != model.predict(X)).mean()
    print(f"{classes} classes: by up to {apart:.1g}; from squared odds by {squared:.1g}; {others:.0%} of the labels")
    assert others == 0, "labels changed"
    assert (apart > 0.05 and squared < 1e-5) if classes == 2 else apart < 1e-5, f"{classes} classes changed"
PYTHON
