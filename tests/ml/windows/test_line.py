"""Events on a line: equal keys are found whatever their type, and places hold however long the line is."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.base.sql import DataError
from ml.windows.line import Line, numbered
from ml.windows.totals import Totals

YEAR = 365 * 86_400 * 10**6


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        (pa.array([3, 7, None, 3]), pa.array([7.0, 3.0, None, 5.5])),
        (pa.array(["3", "7", None, "3"]), pa.array(["7", "3", None, "5"]).dictionary_encode()),
        (pa.array([3, 7, None, 3], pa.int32()), pa.array([7, 3, None, 5], pa.int64())),
        (pa.array([True, False, None, True]), pa.array([False, True, None, None])),
    ],
)
def test_equal_keys_have_one_number_and_missing_ones_none(events: pa.Array, rows: pa.Array) -> None:
    past, present = numbered(pa.table({"a": events}), pa.table({"a": rows}), ["a"])

    assert past[0] == past[3] == present[1] != past[1] == present[0]
    assert past[2] == present[2] == -1
    assert present[3] not in past[[0, 1]]


def test_several_keys_are_equal_only_together() -> None:
    events = pa.table({"a": ["x", "x", "y", "y", None], "b": [1, 2, 1, 2, 1]})
    rows = pa.table({"a": ["y", "x", "x"], "b": [2, 1, None]})

    past, present = numbered(events, rows, ["a", "b"])

    assert len(set(past)) == 5
    assert list(present) == [past[3], past[0], -1]
    assert past[4] == -1


@pytest.mark.parametrize("last_key", [50, 2**40])
def test_the_events_before_a_moment_are_counted_on_a_line_of_any_length(last_key: int) -> None:
    random = np.random.default_rng(0)
    keys = random.choice([0, 3, last_key], 300)
    times = random.integers(-200 * YEAR, 200 * YEAR, 300) // YEAR * YEAR
    row_keys = random.choice([0, 2, 3, last_key], 500)
    moments = np.append(random.choice(times, 498) + random.integers(-1, 2, 498), [-(10**18), 10**18])

    line = Line(keys, times)

    before = [
        int(((keys < key) | ((keys == key) & (times < at))).sum()) for key, at in zip(row_keys, moments, strict=True)
    ]
    assert list(line.before(row_keys, moments)) == before
    assert sorted(zip(keys, times, strict=True)) == [(keys[place], times[place]) for place in line.order]


def test_nothing_has_happened_on_an_empty_line() -> None:
    nothing = np.array([], np.int64)

    assert list(Line(nothing, nothing).before(np.array([0, -1]), np.array([0, 5]))) == [0, 0]


def column(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.int64())])


@pytest.mark.slow
def test_sums_of_many_large_numbers_are_exact_or_refused() -> None:
    everything = np.array([0]), np.array([2**22])
    largest = 2**41 - 1

    totals = Totals("x", pa.chunked_array([np.full(2**22, largest)]), 1)

    assert totals.sum(*everything) == [float(2**22 * largest)]
    assert totals.std(*everything) == [0.0]
    with pytest.raises(DataError, match=r"column 'x': 4,194,305 events .* are too many to be added up exactly"):
        Totals("x", pa.chunked_array([np.full(2**22 + 1, largest)]), 1)


def test_an_aggregate_of_a_stretch_knows_only_what_lies_in_it() -> None:
    totals = Totals("x", column([5, None, -7, 2**40, None]), 100)
    start, end = np.array([0, 1, 0, 3, 4]), np.array([3, 2, 0, 5, 5])

    np.testing.assert_array_equal(totals.sum(start, end), [-0.02, 0.0, 0.0, 2**40 / 100, 0.0])
    np.testing.assert_array_equal(totals.mean(start, end), [-0.01, np.nan, np.nan, 2**40 / 100, np.nan])
    np.testing.assert_array_equal(totals.first(start, end), [0.05, np.nan, np.nan, 2**40 / 100, np.nan])
    np.testing.assert_array_equal(totals.last(start, end), [-0.07, np.nan, np.nan, np.nan, np.nan])
