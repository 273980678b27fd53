#!/usr/bin/env bash
# skl2onnx converts several of scikit-learn's transformers without the option that was set, or without missing values.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnxruntime 1.31.1, Python 3.11.
# Expected: the same columns, with missing values where scikit-learn leaves them missing; or an error.
# Behaviour and output seen (scikit-learn's against the copy's):
#   SimpleImputer(add_indicator=True)  8 columns against 4: the indicators are dropped
#   SimpleImputer, an empty column     3 columns against 4: the column that it drops stays, all of it missing
#   PowerTransformer                   525 missing values against 0: they become numbers
#   OrdinalEncoder                     163 missing values against 0: they become the code 0
#   TargetEncoder                      a category of missing values is 0.534 against the mean of all, 0.494
#   MaxAbsScaler(clip=True)            nothing beyond -1 and 1 against 3: it does not clip (MinMaxScaler(clip=True) does)
#   Normalizer("max")                  divides by the largest value and not by the largest size: signs flip ("l1" is right)
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
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, OrdinalEncoder, PowerTransformer, TargetEncoder

ort.set_default_logger_severity(4)
rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
gaps = np.where(rng.random(X.shape) < 0.15, np.nan, X).astype(np.float32)
empty = np.column_stack([gaps[:, :3], np.full(800, np.nan)]).astype(np.float32)
codes = np.where(rng.random((800, 1)) < 0.2, np.nan, rng.integers(0, 8, (800, 1))).astype(np.float32)


def both(transformer, rows, asked=None):
    asked = rows if asked is None else asked
    transformer.fit(rows, y)
    converted = to_onnx(transformer, initial_types=[("X", FloatTensorType([None, rows.shape[1]]))])
    return transformer.transform(asked), ort.InferenceSession(converted.SerializeToString()).run(None, {"X": asked})[0]


def gaps_of(pair):
    return [int(np.isnan(part).sum()) for part in pair]


def apart(pair):
    return float(np.nanmax(np.abs(pair[0] - pair[1])))


indicator = both(SimpleImputer(add_indicator=True), gaps)
dropped = both(SimpleImputer(), empty)
power, ordinal = both(PowerTransformer(), gaps), both(OrdinalEncoder(), codes)
target = both(TargetEncoder(cv=2), codes)
clip, min_max = both(MaxAbsScaler(clip=True), X, 3 * X), both(MinMaxScaler(clip=True), X, 3 * X)
largest, l1 = both(Normalizer("max"), X), both(Normalizer("l1"), X)
missing = np.isnan(codes[:, 0])
print("add_indicator:", *(part.shape for part in indicator))
print("empty column:", *(part.shape for part in dropped))
print("PowerTransformer, missing:", gaps_of(power))
print("OrdinalEncoder, missing:", gaps_of(ordinal))
print("TargetEncoder of a missing category:", *(part[missing][0, 0] for part in target))
print("MaxAbsScaler(clip=True), largest:", *(float(np.abs(part).max()) for part in clip))
print("Normalizer('max') differs by", apart(largest), "and 'l1' by", apart(l1))
assert [part.shape[1] for part in indicator] == [8, 4], "the indicator changed"
assert [part.shape[1] for part in dropped] == [3, 4], "the empty column changed"
assert gaps_of(power)[0] > 0 and gaps_of(power)[1] == 0, "PowerTransformer changed"
assert gaps_of(ordinal)[0] > 0 and gaps_of(ordinal)[1] == 0, "OrdinalEncoder changed"
assert apart(target) > 0.001 and np.abs(target[0] - target[1])[~missing].max() < 1e-5, "TargetEncoder changed"
assert np.abs(clip[0]).max() <= 1 and np.abs(clip[1]).max() > 2 and apart(min_max) < 1e-6, "clipping changed"
assert apart(largest) > 1 and apart(l1) < 1e-5, "Normalizer changed"
PYTHON
