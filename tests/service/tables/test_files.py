from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.plan.document import BundleError
from service.tables.files import kind_of, microseconds, numeric_matrix, read_columns, sort_rows, spans_of


def test_columns_are_read_once_each_and_without_dictionaries(tmp_path: Path) -> None:
    table = pa.table({"key": pa.array(["b", "a"]).dictionary_encode(), "x": [1, 2], "y": [3, 4]})
    pq.write_table(table, tmp_path / "t.parquet")

    rows = read_columns(tmp_path / "t.parquet", ["key", "x", "key"])

    assert rows.to_pydict() == {"key": ["b", "a"], "x": [1, 2]}
    assert rows.schema.field("key").type == pa.string()


def test_columns_that_a_file_has_not_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")

    with pytest.raises(BundleError, match=r"t\.parquet(.|\n)*it has no columns \['a', 'z'\]"):
        read_columns(tmp_path / "t.parquet", ["z", "x", "a"])


@pytest.mark.parametrize(
    ("arrow_type", "kind"),
    [
        (pa.large_string(), "text"),
        (pa.string_view(), "text"),
        (pa.bool_(), "flag"),
        (pa.uint8(), "number"),
        (pa.decimal128(5, 2), "number"),
        (pa.date32(), "time"),
        (pa.timestamp("ns"), "time"),
        (pa.timestamp("us", "UTC"), "column of no known type"),
        (pa.null(), "column of nulls"),
        (pa.list_(pa.int8()), "column of no known type"),
    ],
)
def test_types_have_the_names_of_the_plan(arrow_type: Any, kind: str) -> None:
    assert kind_of(arrow_type) == kind


def test_rows_are_sorted_by_all_columns_and_those_that_miss_one_left_out() -> None:
    rows = pa.table({"a": ["y", None, "x", "x"], "b": [1, 2, 4, 3], "c": [None, None, None, 0]})

    assert sort_rows(rows, ["a", "b"])["b"].to_pylist() == [3, 4, 1]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pa.array([dt.date(1970, 1, 2)]), 86_400_000_000),
        (pa.array([-1], pa.timestamp("s")), -1_000_000),
        (pa.array([1], pa.timestamp("ms")), 1_000),
        (pa.array([1_001], pa.timestamp("ns")), 2),
        (pa.array([-1_001], pa.timestamp("ns")), -1),
    ],
)
def test_times_are_microseconds_and_never_earlier_than_they_were(times: Any, expected: int) -> None:
    assert microseconds(pa.chunked_array([times])).tolist() == [expected]


def test_spans_are_the_ranges_of_equal_keys() -> None:
    assert spans_of(["a", "a", "b"]) == {"a": (0, 2), "b": (2, 3)}
    assert spans_of([]) == {}


def test_a_value_that_float32_cannot_hold_counts_as_missing() -> None:
    rows = pa.table({"x": [1.0, float("inf"), -float("inf"), 1e39, None]})

    (column,) = numeric_matrix(rows, ["x"]).T

    assert column[0] == 1.0
    assert np.isnan(column[1:]).all()
