#!/usr/bin/env bash
# featuretools' `training_window` lets rows in by events that come after the cutoff time.
#
# Versions: featuretools 1.31.0, pandas 2.3.3, Python 3.11.
# Expected: nothing after `cutoff_time` decides a feature; this is what the cutoff time is for.
# Behaviour: a parent row is in the window if its last event is, and `add_last_time_indexes`, which a window asks for,
# computes that last event over all the data. A session of January with an event in September counts in June.
# Seen: COUNT(sessions) over 30 days at 1 June: 0; after an event of September is added: 1.
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


def sessions_in_june(times):
    events = pd.DataFrame({"event": range(len(times)), "session": [1] * len(times), "time": pd.to_datetime(times)})
    sessions = pd.DataFrame({"session": [1], "customer": [1], "start": pd.to_datetime(["2024-01-01"])})
    entities = ft.EntitySet("shop")
    entities.add_dataframe(dataframe_name="customers", dataframe=pd.DataFrame({"customer": [1]}), index="customer")
    entities.add_dataframe(dataframe_name="sessions", dataframe=sessions, index="session", time_index="start")
    entities.add_dataframe(dataframe_name="events", dataframe=events, index="event", time_index="time")
    entities.add_relationship("customers", "customer", "sessions", "customer")
    entities.add_relationship("sessions", "session", "events", "session")
    entities.add_last_time_indexes()
    matrix, _ = ft.dfs(
        entityset=entities,
        target_dataframe_name="customers",
        agg_primitives=["count"],
        trans_primitives=[],
        max_depth=1,
        cutoff_time=pd.Timestamp("2024-06-01"),
        training_window="30 days",
    )
    return int(matrix["COUNT(sessions)"].iloc[0])


before, after = sessions_in_june(["2024-01-01"]), sessions_in_june(["2024-01-01", "2024-09-01"])
print(f"sessions of 30 days before 1 June: {before}; with an event in September: {after}")
assert (before, after) == (0, 1), "the window changed"
PYTHON
