"""Rows of lookups that are sent: what a service then answers with is the matrix over the tables that they leave."""

import datetime as dt
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.tables.computed import with_computed
from ml.tasks.encoding import Encoder
from service.history.events import Events
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import RecordReader

pytestmark = pytest.mark.filterwarnings("ignore")

START = dt.datetime(2024, 1, 1)
Row = dict[str, Any]
NUMBERS = [None, 0, 1, 7, 2**53 + 1, -(2**60) - 7]
VALUES = {
    "wind": [None, 0.1, -2.5, 1e38, 1e-45, 16777217.0, 3.0],
    "gust": NUMBERS,
    "wet": [None, True, False],
    "sky": [None, "", "clear", "it's ☁"],
}
COLUMNS = {
    "id": pa.int64(), "at": pa.timestamp("us"), "stop": pa.string(), "line": pa.int64(), "late": pa.bool_(),
    "seen": pa.timestamp("us"), "told": pa.timestamp("us"), "made": pa.string(), "wind": pa.float64(),
    "gust": pa.int64(), "wet": pa.bool_(), "sky": pa.string(),
}  # fmt: skip
COMPUTED = {"double": "wind * 2", "half": "gust // 2", "named": "'sky ' || sky", "calm": "wind < 1"}

# How a table of weather may be declared: its key, and when its rows are known.
DECLARED: dict[str, Row] = {
    "by its time": {"key": ["stop", "seen"], "time": "seen"},
    "valid for two hours": {"key": ["stop", "seen"], "time": "seen", "valid_for": "2h"},
    "once a stop": {"key": "stop", "time": "seen"},
    "known an hour later": {"key": ["stop", "seen"], "time": "seen", "known_at": "1h", "valid_for": "3h"},
    "known when it is told": {"key": ["stop", "seen"], "time": "seen", "known_at": "told"},
    "forecasts": {"key": ["stop", "told"], "time": "seen", "known_at": "told", "valid_for": "4h"},
    "forecasts for hours": {"key": ["told", "stop", "seen"], "time": "seen", "known_at": "told"},
    "static": {"key": "stop"},
    "static by two": {"key": ["line", "stop"]},
    "static by a time": {"key": "seen"},
    "static by a flag": {"key": "wet", "ignore": ["calm"]},
}


@cache
def defined(name: str, at_cutoff: str) -> tuple[UseCaseSpec, FeatureDefinitions]:
    """Return a declaration and its features, which no row decides."""
    spec = spec_of(name, at_cutoff)
    row = dict.fromkeys(COLUMNS) | {"stop": "x", "line": 1, "told": START, "wet": True}
    row["seen"] = TRIPS_TABLE["at"][0].as_py()
    tables = {"trips": TRIPS_TABLE, "weather": weather_of(spec, [row])}
    return spec, define_features("toy", spec, tables)


def spec_of(name: str, at_cutoff: str) -> UseCaseSpec:
    keys = [DECLARED[name]["key"]] if isinstance(DECLARED[name]["key"], str) else DECLARED[name]["key"]
    on = [key for key in keys if key not in ("seen", "told")]
    link = on[0] if len(on) == 1 else f"({', '.join(on)})"
    relationship = {"static by a time": "trips.at -> weather.seen", "static by a flag": "trips.wet -> weather.wet"}
    return UseCaseSpec.model_validate(
        {
            "description": "Late?",
            "tables": {
                "trips": {"source": {"path": "trips.csv"}, "key": "id", "time": "at"},
                "weather": {"source": {"path": "weather.csv"}, "computed": COMPUTED, **DECLARED[name]},
            },
            "relationships": [relationship.get(name, f"trips.{link} -> weather.{link}")],
            "examples": {
                "table": "trips", "cutoff": "at", "target": "late",
                "split": {"validation_share": 0.2, "test_share": 0.2},
            },
            "features": {"at_cutoff": at_cutoff},
            "models": {"logistic": {}},
        }
    )  # fmt: skip


def table_of(rows: list[Row], columns: Iterable[str]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], COLUMNS[name]) for name in columns})


def weather_of(spec: UseCaseSpec, rows: Iterable[Row]) -> pa.Table:
    return with_computed("toy", spec.tables["weather"], table_of(list(rows), ["stop", "line", "seen", "told", *VALUES]))


class Toy:
    """A use case whose rows look weather up, as its tables are at the moment."""

    def __init__(self, name: str, at_cutoff: str, weather: Iterable[Row]) -> None:
        self.spec, self.definitions = defined(name, at_cutoff)
        self.weather = {self.key(row): row for row in weather}

    def key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column] for column in self.spec.tables["weather"].keys)

    def tables(self) -> dict[str, pa.Table]:
        return {"trips": TRIPS_TABLE, "weather": weather_of(self.spec, self.weather.values())}

    def builder(self) -> FeatureBuilder:
        files = online_state("toy", self.spec, self.definitions, self.tables(), pd.Series([START]))
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                (Path(folder) / file).write_bytes(content)
            inputs = Inputs(self.definitions.numeric, self.definitions.categorical)
            return FeatureBuilder(read_plan(files["plan.json"]), inputs, Path(folder))

    def matrix(self, asked: list[Row]) -> dict[str, np.ndarray]:
        """Compute what the batch path has for trips that are asked about."""
        rows = table_of(asked, TRIPS_TABLE.column_names)
        examples = pd.DataFrame({"id": [row["id"] for row in asked], "cutoff": rows["at"].to_pandas()})
        matrix = feature_matrix(self.spec, self.definitions, self.tables(), examples, rows)
        return Encoder.fit(matrix, self.definitions.numeric, self.definitions.categorical).inputs(matrix)


def trip(stop: str | None, hour: float, line: int | None = 1) -> Row:
    wet = {0: True, 1: False}.get(int(hour) % 3)
    return {"id": 1, "at": START + dt.timedelta(hours=hour), "stop": stop, "line": line, "wet": wet, "late": True}


TRIPS_TABLE = table_of([trip("x", 3), trip("y", 5, 2)], ["id", "at", "stop", "line", "wet", "late"])


def sent(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in row.items()}


HOURS = st.integers(-4, 12).map(lambda halves: START + dt.timedelta(minutes=30 * halves))
WEATHER = st.fixed_dictionaries(
    {
        "stop": st.sampled_from(["x", "y", "z|\\"]),
        "line": st.sampled_from([1, 2, 2**53]),
        "seen": HOURS,
        "told": HOURS,
        **{name: st.sampled_from(values) for name, values in VALUES.items()},
    }
)
TRIPS = st.builds(
    trip,
    st.sampled_from(["x", "y", "z|\\", "none", None]),
    st.integers(-5, 20).map(lambda halves: halves / 2),
    st.sampled_from([1, 2, 2**53, 5, None]),
)


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", ["included", "excluded"])
@pytest.mark.parametrize("name", DECLARED)
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    st.lists(WEATHER, max_size=12), st.lists(st.lists(WEATHER, min_size=1, max_size=5), max_size=3),
    st.lists(TRIPS, min_size=1, max_size=8),
)  # fmt: skip
def test_rows_in_any_order_leave_the_matrix_of_the_table_that_they_make(
    name: str, at_cutoff: str, weather: list[Row], requests: list[list[Row]], asked: list[Row]
) -> None:
    toy = Toy(name, at_cutoff, [with_gaps(name, row) for row in weather])
    requests = [[with_gaps(name, row) for row in rows] for rows in requests]
    builder = toy.builder()
    events, reader = Events(builder.plan, builder.histories), RecordReader(builder.plan)
    columns = list(builder.plan.events["weather"].record)
    records = reader.read([sent({column: row[column] for column in builder.plan.record}) for row in asked])

    for rows in requests:
        keys = [toy.key(row) for row in rows]
        there = {key for key in keys if key in toy.weather and is_known(toy, toy.weather[key])}
        accepted = events.accept("weather", [sent({column: row[column] for column in columns}) for row in rows])
        toy.weather |= dict(zip(keys, rows, strict=True))

        assert accepted.replaced == len(keys) - len(set(keys)) + len(there)
        found, expected = builder.build(records), toy.matrix(asked)
        np.testing.assert_array_equal(found.numeric, expected["numeric"])
        np.testing.assert_array_equal(found.categorical, expected["categorical"])
    assert of_lookups(toy.builder().build(records).warnings) == of_lookups(builder.build(records).warnings)


def with_gaps(name: str, row: Row) -> Row:
    """Return a row, of some without the times that are no part of the key."""
    key = DECLARED[name]["key"]
    if row["wet"] is None and key == "wet":
        return row | {"wet": True}
    gaps = {"seen", "told"} - {*([key] if isinstance(key, str) else key)} if row["wet"] is None else set()
    return row | dict.fromkeys(gaps)


def is_known(toy: Toy, row: Row) -> bool:
    """Return whether a row becomes known at some time."""
    moment = toy.spec.tables["weather"].moment
    return moment is None or row[moment.partition("+")[0]] is not None


def of_lookups(warnings: list[list[str]]) -> list[list[str]]:
    """Leave out what is said of silences, whose limits are learned of the rows that are there."""
    return [[text for text in texts if "nothing was heard" not in text] for texts in warnings]
