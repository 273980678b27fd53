#!/usr/bin/env bash
# skl2onnx converts a TunedThresholdClassifierCV without its threshold, and refuses a FixedThresholdClassifier.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: both are refused, or both answer the labels of `predict`.
# Behaviour: the tuned one converts in silence into the classifier inside: labels are cut at 0.5. The fixed one, which does
# nothing else than the tuned one after its fit, raises MissingShapeCalculator.
# Seen: 42% of the labels differ while the probabilities agree to 1e-6.
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
from skl2onnx.common.exceptions import MissingShapeCalculator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.5, 800) > 1).astype(int)


def convert(model):
    return to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options={"zipmap": False})


model = TunedThresholdClassifierCV(LogisticRegression(class_weight={0: 1, 1: 5}), cv=2, random_state=0).fit(X, y)
labels, answers = ort.InferenceSession(convert(model).SerializeToString()).run(None, {"X": X})
others = (labels.ravel() != model.predict(X)).mean()
apart = np.abs(model.predict_proba(X) - answers).max()
print(f"threshold {model.best_threshold_:.2f}: {others:.0%} of the labels differ, probabilities by {apart:.1g}")
assert others > 0.1 and apart < 1e-5, "the tuned threshold changed"
try:
    convert(FixedThresholdClassifier(LogisticRegression(), threshold=0.2).fit(X, y))
except MissingShapeCalculator as error:
    print("a fixed threshold:", str(error)[:60])
else:
    raise SystemExit("a fixed threshold converts now")
PYTHON
