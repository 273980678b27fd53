#!/usr/bin/env bash
# MLflow's dataset digest is the same for tables that differ in booleans, times, text with gaps, or past row 10,000.
#
# Versions: MLflow 3.17.2, pandas 2.3.3, Python 3.11.
# Expected: another digest for another table, as the field is there to tell which data a run has used.
# Behaviour: only columns of numbers and of complete text are hashed, and of them the first 10,000 rows. The number of rows
# enters, so that an appended table differs and an edited one does not.
# Seen: the digest is equal after every boolean is negated, all times move by 400 days, a text beside a gap changes, and
# 5,000 of 20,000 numbers are replaced; it differs after a number among the first rows changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  mlflow==3.17.2 pandas==2.3.3 numpy==2.4.6 setuptools==80.10.2
venv/bin/python - <<'PYTHON'
import mlflow.data
import pandas as pd

small = pd.DataFrame(
    {
        "flag": [True, False, True],
        "time": pd.date_range("2024-01-01", periods=3),
        "text": ["a", None, "c"],
        "number": [1.0, 2.0, 3.0],
    }
)
large = pd.DataFrame({"number": [float(row) for row in range(20_000)]})


def digest(frame):
    return mlflow.data.from_pandas(frame).digest


edited = large.copy()
edited.iloc[15_000:] = -1.0
same = {
    "booleans negated": digest(small.assign(flag=~small["flag"])) == digest(small),
    "times moved": digest(small.assign(time=small["time"] + pd.Timedelta(days=400))) == digest(small),
    "text beside a gap": digest(small.assign(text=["a", None, "z"])) == digest(small),
    "rows past 10,000": digest(edited) == digest(large),
}
number = digest(small.assign(number=[1.0, 2.0, 4.0])) == digest(small)
for change, equal in same.items():
    print(f"{change}: the digest is {'equal' if equal else 'another'}")
print(f"a number changed: the digest is {'equal' if number else 'another'}")
assert all(same.values()), "the digest sees more now"
assert not number, "the digest no longer sees numbers"
PYTHON
