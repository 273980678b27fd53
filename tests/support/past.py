"""A plan with every window feature there is, events for it, and the same features by a loop over all events."""

from __future__ import annotations

import datetime as dt
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from service.history.state import Histories
from service.plan.document import Plan
from service.plan.parts import WindowFeature, WindowLookup
from service.plan.reading import read_plan
from service.records.reader import EPOCH, Record, to_us
from service.windows.features import Windows

KEYS = {"of_a": ["a"], "of_b": ["b"], "of_both": ["a", "b"], "of_all": []}
SCALES = {"v": 0, "w": 2}
QUERY = (
    'select id as _row, a, b, "at", cast(v as bigint) as v, cast(w as bigint) as w from event where "at" is not null'
)


def plan_dict() -> dict[str, Any]:
    """Return a plan of four lookups over one file, with the cutoff and without; all aggregations and windows."""
    lookups, features = {}, []
    for at_cutoff in ["excluded", "included"]:
        for name, keys in KEYS.items():
            lookup = f"{name}_{at_cutoff}"
            lookups[lookup] = {
                "kind": "window",
                "file": "events.parquet",
                "on": keys,
                "keys": keys,
                "time": "at",
                "scales": SCALES,
                "at_cutoff": at_cutoff,
                "since": "1900-01-01T00:00:00",
            }
            features += _features(lookup)
    return {
        "use_case": "past",
        "record": {"when": "time", "a": "text", "b": "number"},
        "required": ["when"],
        "cutoff": {"column": "when", "before_s": 0},
        "features": features,
        "lookups": lookups,
        "events": {
            "events": {
                "record": {"id": "text", "a": "text", "b": "number", "at": "time", "v": "number", "w": "number"},
                "key": "id",
                "views": [{"file": "events.parquet", "query": QUERY}],
            }
        },
    }


def _features(lookup: str) -> list[dict[str, Any]]:
    of_rows: list[tuple[str, str | None]] = [("count", None), ("time_since_last", None)]
    names = ["sum", "mean", "std", "min", "max", "last", "first", "num_unique", "median"]
    features = []
    for name, column in of_rows + [(name, column) for name in names for column in SCALES]:
        for window_s in [1, 2.5, 1_000, None]:
            about = {"kind": "window", "lookup": lookup, "aggregation": name, "column": column, "window_s": window_s}
            features.append({**about, "name": f"{lookup}.{name}({column}, {window_s})"})
    return features


PLAN: Plan = read_plan(json.dumps(plan_dict()).encode())
FEATURES = {i: feature for i, feature in enumerate(PLAN.features) if isinstance(feature, WindowFeature)}
WINDOWS = Windows(PLAN, FEATURES)

Row = dict[str, Any]  # of events: id, a, b, at (microseconds since 1970, or None), v and w, as stored

MOMENTS = st.integers(0, 12).map(lambda halves: halves * 500_000)
# a few values only, so that some repeat, and the largest, whose squares outgrow 64 bits
VALUES = st.sampled_from([None, -1, 0, 1, 2, 3, 7, 2**41 - 1, -(2**41) + 1]) | st.integers(-100, 100)
ROWS = st.fixed_dictionaries(
    {
        "id": st.integers(0, 11).map(lambda number: f"e{number}"),
        "a": st.sampled_from(["x", "y", None]),
        "b": st.sampled_from([1, 2, None]),
        "at": MOMENTS,
        "v": VALUES,
        "w": VALUES,
    }
)
RECORDS = st.builds(
    lambda a, b, cutoff_us: Record({"when": None, "a": a, "b": b}, cutoff_us),
    st.sampled_from(["x", "y", "z", None]),
    st.sampled_from([1, 2.0, 3, None]),
    MOMENTS | st.integers(-1_000_000, 8_000_000),
)


def histories_of(rows: Iterable[Row]) -> Histories:
    """Make fresh histories over a file of these events, which is not there afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return kept_histories_of(rows, Path(folder))


def kept_histories_of(rows: Iterable[Row], folder: Path) -> Histories:
    """Make fresh histories over a file of these events in a folder."""
    schema = {"_row": pa.string(), "a": pa.string(), "b": pa.int64(), "at": pa.timestamp("us")}
    columns = {name: [row["id" if name == "_row" else name] for row in rows] for name in [*schema, *SCALES]}
    table = pa.table({name: pa.array(values, schema.get(name, pa.int64())) for name, values in columns.items()})
    pq.write_table(table, folder / "events.parquet")
    return Histories(PLAN, FEATURES.values(), folder)


def values_of(histories: Histories, record: Record) -> list[float]:
    """Compute the features of a record, in the order of the plan."""
    return many_values_of(histories, [record])[0]


def many_values_of(histories: Histories, records: Sequence[Record]) -> list[list[float]]:
    """Compute the features of records together, in the order of the plan."""
    values = WINDOWS.values(records, histories.state.windows, [[] for _ in records])
    listed: list[list[float]] = values[:, np.argsort(WINDOWS.positions)].tolist()
    return listed


def reference(rows: Iterable[Row], record: Record) -> list[float]:
    """Compute the same by looking at every event for every feature."""
    rows = [row for row in rows if row["at"] is not None]
    return [_reference(rows, record, feature) for feature in FEATURES.values()]


def _reference(rows: list[Row], record: Record, feature: WindowFeature) -> float:
    lookup = PLAN.lookups[feature.lookup]
    assert isinstance(lookup, WindowLookup)
    events = sorted(
        (row for row in rows if _counts(row, record, feature, lookup)), key=lambda row: (row["at"], row["id"])
    )
    if feature.column is None:
        if feature.aggregation == "count":
            return float(len(events))
        return (record.cutoff_us - events[-1]["at"]) / 1e6 if events else math.nan
    values = [row[feature.column] for row in events]
    return aggregate(feature.aggregation, values, 10 ** SCALES[feature.column])


def _counts(row: Row, record: Record, feature: WindowFeature, lookup: WindowLookup) -> bool:
    if any(row[key] is None or row[key] != record.values[key] for key in lookup.keys):
        return False
    if feature.window_s is not None and row["at"] < record.cutoff_us - int(feature.window_s * 1_000_000):
        return False
    at: int = row["at"]
    return at <= record.cutoff_us if lookup.at_cutoff == "included" else at < record.cutoff_us


def aggregate(name: str, values: list[int | None], k: int) -> float:
    """Compute one aggregate of stored values, of which some may be None; in the order of their events."""
    ordered = sorted(value for value in values if value is not None)
    count, total = len(ordered), sum(ordered)
    ends = {"first": values[:1], "last": values[-1:]}
    if name in ends:
        return math.nan if ends[name] in ([], [None]) else float(ends[name][0] or 0) / k
    if name == "num_unique":
        return float(len(set(ordered))) if values else math.nan
    if name == "sum":
        return _duckdb_float(total) / k
    if count < (2 if name == "std" else 1):
        return math.nan
    if name == "std":
        spread = count * sum(value * value for value in ordered) - total * total
        return math.sqrt(_duckdb_float(spread) / float(count * (count - 1))) / k
    if name == "median":
        middle = ordered[(count - 1) // 2 : count // 2 + 1]
        return float(sum(middle)) / (len(middle) * k)
    return {
        "mean": _duckdb_float(total) / float(count * k),
        "min": float(ordered[0]) / k,
        "max": float(ordered[-1]) / k,
    }[name]


def _duckdb_float(number: int) -> float:
    if number.bit_length() < 64:
        return float(number)
    return float(number % 2**64) + float(number // 2**64) * 2.0**64


def sent(row: Mapping[str, Any]) -> Row:
    """Return an event as a caller sends it."""
    at = row["at"]
    return {**row, "at": None if at is None else (EPOCH + dt.timedelta(microseconds=at)).isoformat()}


def cutoff(text: str) -> int:
    """Return a time in microseconds since 1970."""
    return to_us(dt.datetime.fromisoformat(text))
