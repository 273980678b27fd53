#!/usr/bin/env bash
# featuretools' TREND picks its unit of time by the first timestamp of each group: one column holds slopes of all units.
#
# Versions: featuretools 1.31.0, pandas 2.3.3, Python 3.11.
# Expected: one unit for all values of a feature.
# Behaviour: the unit is the largest one that divides the group's first timestamp. A customer whose first event falls on a
# midnight gets the slope by the day; one whose first event has seconds gets it by the second.
# Seen: three events, each one day after the other and 1 higher: 1.0 from midnight, and 1.2e-5 from 00:00:30 on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  featuretools==1.31.0 woodwork==0.31.0 pandas==2.3.3 numpy==2.4.6 \
  scipy==1.17.1 scikit-learn==1.9.1 setuptools==80.10.2
venv/bin/python - <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")
import featuretools as ft
import pandas as pd

starts = {1: pd.Timestamp("2024-01-01 00:00:00"), 2: pd.Timestamp("2024-01-01 00:00:30")}
events = pd.DataFrame(
    [
        {"customer": customer, "time": start + pd.Timedelta(days=day), "value": float(day)}
        for customer, start in starts.items()
        for day in range(3)
    ]
).rename_axis("event").reset_index()
entities = ft.EntitySet("shop")
entities.add_dataframe(dataframe_name="customers", dataframe=pd.DataFrame({"customer": [1, 2]}), index="customer")
entities.add_dataframe(dataframe_name="events", dataframe=events, index="event", time_index="time")
entities.add_relationship("customers", "customer", "events", "customer")
matrix, _ = ft.dfs(
    entityset=entities, target_dataframe_name="customers", agg_primitives=["trend"], trans_primitives=[], max_depth=1
)
print(matrix)
slopes = matrix[[name for name in matrix if "value" in name][0]]
assert abs(slopes[1] - 1) < 1e-6, "the slope from midnight changed"
assert abs(slopes[2] * 86_400 - 1) < 1e-6, "the slope from 00:00:30 changed"
PYTHON
