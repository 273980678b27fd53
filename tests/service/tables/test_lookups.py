from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.plan.document import BundleError
from service.plan.parts import ColumnType, LatestLookup, RowLookup, StaticLookup
from service.records.reader import Record, Value, to_us
from service.tables.lookups import Finder, load_lookup
from service.tables.table import MISSING_ROW

RECORD: dict[str, ColumnType] = {"key": "text", "other": "number", "at": "time", "yes": "flag"}


def load(folder: Path, lookup: RowLookup, table: dict[str, Any], **columns: list[str]) -> Finder:
    pq.write_table(pa.table(table), folder / lookup.file)
    wanted = {"numeric": ["x"], "categorical": [], **columns}
    return load_lookup(
        "name", lookup, folder, numeric=wanted["numeric"], categorical=wanted["categorical"], record=RECORD
    )


def static(on: list[str] | None = None) -> StaticLookup:
    return StaticLookup(file="t.parquet", on=on or ["key"], keys=on or ["key"])


def latest(valid_for_s: float | None = None) -> LatestLookup:
    return LatestLookup(file="t.parquet", on=["key"], keys=["key"], time="time", valid_for_s=valid_for_s)


def record(cutoff: str = "2014-01-02T12:00", **values: Value) -> Record:
    return Record({"key": "a", **values}, to_us(dt.datetime.fromisoformat(cutoff)))


def times(*texts: str, unit: str = "us") -> pa.Array:
    return pa.array([dt.datetime.fromisoformat(text) for text in texts], pa.timestamp("us")).cast(pa.timestamp(unit))


def value(finder: Finder, record: Record) -> float:
    row, _ = finder.find(record)
    return float(finder.table.numeric[row, 0])


def warning(finder: Finder, record: Record) -> str | None:
    return finder.find(record)[1]


def test_a_static_row_is_found_by_its_key(tmp_path: Path) -> None:
    finder = load(tmp_path, static(), {"key": ["b", "a"], "x": [2.0, 1.0]})

    assert value(finder, record(key="a")) == 1.0
    assert value(finder, record(key="b")) == 2.0


@pytest.mark.parametrize(("column", "keys", "part"), [("other", [1, 2], 2.0), ("yes", [False, True], 1.0)])
def test_keys_may_be_numbers_and_flags(tmp_path: Path, column: str, keys: list[Any], part: float) -> None:
    finder = load(tmp_path, static([column]), {column: keys, "x": [10.0, 20.0]})

    assert value(finder, record("2014-01-02T12:00", **{column: part})) == 20.0


@pytest.mark.parametrize(("at_cutoff", "seen"), [("included", 2.0), ("excluded", 1.0)])
def test_a_row_of_the_very_cutoff_counts_as_the_plan_says(tmp_path: Path, at_cutoff: Any, seen: float) -> None:
    lookup = LatestLookup(file="t.parquet", on=["key"], keys=["key"], time="time", at_cutoff=at_cutoff)
    table = {"key": ["a", "a"], "time": times("2014-01-01", "2014-01-02T12:00"), "x": [1.0, 2.0]}

    assert value(load(tmp_path, lookup, table), record("2014-01-02T12:00")) == seen


def test_keys_may_be_times(tmp_path: Path) -> None:
    finder = load(tmp_path, static(["at"]), {"at": times("2014-01-01", unit="ns"), "x": [10.0]})

    assert value(finder, record(at=dt.datetime(2014, 1, 1))) == 10.0


def test_an_integer_key_keeps_all_its_digits(tmp_path: Path) -> None:
    finder = load(tmp_path, static(["other"]), {"other": [2**60, 2**60 + 1], "x": [10.0, 20.0]})

    assert value(finder, record(other=2**60 + 1)) == 20.0


def test_several_keys_select_together(tmp_path: Path) -> None:
    table = {"key": ["a", "a", "b"], "other": [1, 2, 1], "x": [1.0, 2.0, 3.0]}

    finder = load(tmp_path, static(["key", "other"]), table)

    assert value(finder, record(key="a", other=2.0)) == 2.0
    assert warning(finder, record(key="b", other=2.0)) == "name: no row for key 'b', other 2.0"


def test_an_unknown_key_and_a_null_key_are_missing_with_a_warning(tmp_path: Path) -> None:
    finder = load(tmp_path, static(), {"key": ["a", None], "x": [1.0, 9.0]})

    assert finder.find(record(key="z")) == (MISSING_ROW, "name: no row for key 'z'")
    assert finder.find(record(key=None)) == (MISSING_ROW, "name: no row, for key is missing")
    assert np.isnan(value(finder, record(key="z")))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_latest_row_up_to_the_cutoff_counts(tmp_path: Path, unit: str) -> None:
    observed = times("2014-01-02T12:00", "2014-01-02T10:00", "2014-01-02T11:00", "2014-01-02T13:00", unit=unit)

    finder = load(tmp_path, latest(), {"key": ["a", "a", "a", "b"], "time": observed, "x": [12.0, 10.0, 11.0, 13.0]})

    assert value(finder, record("2014-01-02T12:00")) == 12.0
    assert value(finder, record("2014-01-02T11:59:59.999999")) == 11.0
    assert value(finder, record("2030-01-01")) == 12.0


def test_a_row_observed_nanoseconds_after_the_cutoff_is_not_known_yet(tmp_path: Path) -> None:
    cutoff = times("2014-01-02T12:00", unit="ns").cast(pa.int64())[0].as_py()

    finder = load(tmp_path, latest(), {"key": ["a"], "time": pa.array([cutoff + 1], pa.timestamp("ns")), "x": [1.0]})

    assert finder.find(record("2014-01-02T12:00"))[0] == MISSING_ROW


def test_a_row_is_valid_up_to_its_age_and_not_beyond(tmp_path: Path) -> None:
    finder = load(tmp_path, latest(3600), {"key": ["a"], "time": times("2014-01-02T12:00"), "x": [1.0]})

    assert finder.find(record("2014-01-02T13:00"))[0] != MISSING_ROW
    row, text = finder.find(record("2014-01-02T13:00:00.000001"))
    assert row == MISSING_ROW
    assert text is not None
    assert "is of 2014-01-02T12:00:00, more than 1:00:00 before the cutoff" in text


def test_before_the_first_row_of_a_key_there_is_none(tmp_path: Path) -> None:
    finder = load(tmp_path, latest(), {"key": ["a"], "time": times("2014-01-02T12:00"), "x": [1.0]})

    assert warning(finder, record("2014-01-01")) == "name: no row for key 'a' up to the cutoff 2014-01-01T00:00:00"
    assert warning(finder, record(key="z")) == "name: no row for key 'z'"


def test_of_two_rows_at_one_time_the_later_in_the_file_counts(tmp_path: Path) -> None:
    observed = times("2014-01-02T12:00", "2014-01-02T12:00")

    finder = load(tmp_path, latest(), {"key": ["a", "a"], "time": observed, "x": [1.0, 2.0]})

    assert value(finder, record()) == 2.0


def test_latest_agrees_with_a_search_through_all_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    keys, hours = random.choice(["a", "b", "c"], 300), random.integers(0, 200, 300)
    start = dt.datetime(2014, 1, 1)
    observed = pa.array([start + dt.timedelta(hours=int(h)) for h in hours], pa.timestamp("ns"))
    finder = load(tmp_path, latest(18_000), {"key": keys.tolist(), "time": observed, "x": np.arange(300.0)})

    for key, hour in zip(random.choice(["a", "b", "c"], 500), random.integers(-5, 210, 500), strict=True):
        got = value(finder, record((start + dt.timedelta(hours=int(hour))).isoformat(), key=str(key)))
        rows = [(hours[i], i) for i in range(300) if keys[i] == key and hour - 5 <= hours[i] <= hour]
        assert got == max(rows)[1] if rows else np.isnan(got)


def test_texts_may_be_dictionaries_and_numbers_of_any_type(tmp_path: Path) -> None:
    table = {
        "key": pa.array(["b", "a"]).dictionary_encode(),
        "flag": [True, None],
        "integer": pa.array([None, 3], pa.int8()),
        "decimal": pa.array([1, 2], pa.int8()).cast(pa.decimal128(5, 2)),
        "codes": pa.array([5, 6]).dictionary_encode(),
        "empty": pa.nulls(2),
        "text": pa.array([None, "t"], pa.large_string()),
        "category": pa.array(["u", None]).dictionary_encode(),
    }

    finder = load(
        tmp_path,
        static(),
        table,
        numeric=["flag", "integer", "decimal", "codes", "empty"],
        categorical=["text", "category", "empty"],
    )

    a, b = (finder.find(record(key=key))[0] for key in "ab")
    np.testing.assert_array_equal(finder.table.numeric[a], np.array([np.nan, 3, 2, 6, np.nan], np.float32))
    np.testing.assert_array_equal(finder.table.numeric[b], np.array([1, np.nan, 1, 5, np.nan], np.float32))
    assert finder.table.categorical[[a, b]].tolist() == [["t", "", ""], ["", "u", ""]]


@pytest.mark.parametrize(
    ("lookup", "table", "message"),
    [
        (static(), {"key": ["a"]}, r"it has no columns \['x'\]"),
        (static(), {"key": ["a", "a"], "x": [1, 2]}, "1 rows repeat the key"),
        (static(), {"key": ["a"], "x": ["one"]}, "column 'x' is a text, and feeds a numeric input"),
        (static(), {"key": [1], "x": [1]}, "key 'key' is a number, and the record's 'key' a text"),
        (latest(), {"key": ["a"], "time": [1], "x": [1]}, "column 'time' is a number, not a time"),
        (
            latest(),
            {"key": ["a"], "time": times("2014-01-01").cast(pa.timestamp("us", "UTC")), "x": [1]},
            "column 'time' is a column of no known type",
        ),
    ],
)
def test_a_file_that_does_not_fit_the_plan_is_refused(
    tmp_path: Path, lookup: RowLookup, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        load(tmp_path, lookup, table)
