#!/usr/bin/env bash
# One uint64 column turns MLflow's whole inferred signature into a single "any", which accepts every frame.
#
# Versions: MLflow 3.17.2, pandas 2.3.3, Python 3.11.
# Expected: an error about the column, or "any" for that column only.
# Behaviour: `infer_signature` gives up the names and types of all columns. A model with it takes frames that lack its
# columns, and text for numbers. A timedelta or a Decimal column does the same.
# Seen: [Any (required)] where without the column it is ['a': double (required), 'b': string (required)]; a frame with one
# other column passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  mlflow==3.17.2 pandas==2.3.3 numpy==2.4.6 setuptools==80.10.2
venv/bin/python - <<'PYTHON'
import logging
from decimal import Decimal

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel

logging.getLogger("mlflow").setLevel(logging.ERROR)
frame = pd.DataFrame({"a": [1.0], "b": ["x"]})
odd = {
    "uint64": np.array([1], "uint64"),
    "timedelta": pd.to_timedelta([1], unit="s"),
    "Decimal": [Decimal("1.5")],
}
plain = infer_signature(frame)
print("without:", plain.inputs)
assert [column.name for column in plain.inputs] == ["a", "b"], "the plain signature changed"
for name, values in odd.items():
    signature = infer_signature(frame.assign(n=values))
    print(f"with a {name}:", signature.inputs)
    assert len(signature.inputs.inputs) == 1 and signature.inputs.inputs[0].name is None, f"{name} changed"


class Echo(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


def takes(signature):
    path = f"model_{len(signature.inputs.inputs)}"
    mlflow.pyfunc.save_model(path, python_model=Echo(), signature=signature, pip_requirements=[])
    try:
        mlflow.pyfunc.load_model(path).predict(pd.DataFrame({"other": ["?"]}))
    except MlflowException as error:
        return " ".join(str(error).split())
    return "taken"


refused, taken = takes(plain), takes(infer_signature(frame.assign(n=odd["uint64"])))
print("a frame with another column:", refused[-90:], "|", taken)
assert "missing" in refused.lower() and taken == "taken", "enforcement changed"
PYTHON
