"""Aggregates: the functions that window features compute of the events from `start` to `stop` of a series.

Sums are of integers and exact; each result is rounded where the formula says so and nowhere else, and is therefore
equal, to the last bit, to that of the batch path, which computes the same formulas in DuckDB.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from math import nan, sqrt

import numpy as np

from service.plan.parts import WindowFeature
from service.records.reader import SECOND_US
from service.windows.series import Column, Series

#: A value of the events of a series in a half-open range, as of a cutoff in microseconds; NaN: missing.
Aggregate = Callable[[Series, int, int, int], float]

_LOWER_64 = 2**64 - 1
_LOWEST_64, _HIGHEST_64 = -(2**63), 2**63 - 1
_SMALL = 100  # values; up to here Python's own functions are faster than NumPy's


def aggregate_of(feature: WindowFeature, scale: int) -> Aggregate:
    """Return the function that computes `feature`; `scale` is its column's."""
    if feature.column is None:
        return _OF_ROWS[feature.aggregation]
    column, k = feature.column, 10**scale
    if feature.aggregation == "mean":
        return _mean_of(column, k)
    of = _OF_COLUMNS[feature.aggregation]
    return lambda series, start, stop, _: of(series.columns[column], start, stop, k)


def as_float(number: int) -> float:
    """Convert a 128-bit integer as DuckDB casts one: by its two halves where 64 bits do not hold it."""
    if _LOWEST_64 <= number <= _HIGHEST_64:
        return float(number)
    return float(number & _LOWER_64) + float(number >> 64) * 2.0**64


def _count(_: Series, start: int, stop: int, __: int) -> float:
    return float(stop - start)


def _time_since_last(series: Series, start: int, stop: int, cutoff_us: int) -> float:
    return (cutoff_us - series.times[stop - 1]) / SECOND_US if stop > start else nan


def _sum(column: Column, start: int, stop: int, k: int) -> float:
    assert column.sums is not None
    return as_float(column.sums.between(column.counts[start], column.counts[stop])) / k


def _mean_of(name: str, k: int) -> Aggregate:
    """Return the mean of a column; of the usual aggregates, therefore without a call for each of its steps."""

    def mean(series: Series, start: int, stop: int, _: int) -> float:
        column = series.columns[name]
        first, last, sums = column.counts[start], column.counts[stop], column.sums
        if first == last:
            return nan
        assert sums is not None
        total = sums.low[last] - sums.low[first] if sums.high is None else sums.between(first, last)
        return (float(total) if _LOWEST_64 <= total <= _HIGHEST_64 else as_float(total)) / float((last - first) * k)

    return mean


def _std(column: Column, start: int, stop: int, k: int) -> float:
    assert column.sums is not None
    assert column.squares is not None
    first, last = column.counts[start], column.counts[stop]
    count = last - first
    if count < 2:
        return nan
    total = column.sums.between(first, last)
    spread = count * column.squares.between(first, last) - total * total
    return sqrt(as_float(spread) / float(count * (count - 1))) / k


def _values(column: Column, start: int, stop: int) -> array[int]:
    return column.values[column.counts[start] : column.counts[stop]]


def _min(column: Column, start: int, stop: int, k: int) -> float:
    values = _values(column, start, stop)
    if not values:
        return nan
    return float(min(values) if len(values) <= _SMALL else np.frombuffer(values, np.int64).min()) / k


def _max(column: Column, start: int, stop: int, k: int) -> float:
    values = _values(column, start, stop)
    if not values:
        return nan
    return float(max(values) if len(values) <= _SMALL else np.frombuffer(values, np.int64).max()) / k


def _median(column: Column, start: int, stop: int, k: int) -> float:
    values = _values(column, start, stop)
    half, odd = divmod(len(values), 2)
    if not values:
        return nan
    if len(values) <= _SMALL:
        ordered = sorted(values)
        middle = ordered[half - 1 + odd : half + 1]
    else:
        middle = np.partition(np.frombuffer(values, np.int64), [half - 1, half])[half - 1 + odd : half + 1].tolist()
    return float(sum(middle)) / (len(middle) * k)


def _num_unique(column: Column, start: int, stop: int, _: int) -> float:
    return float(len(set(_values(column, start, stop)))) if stop > start else nan


def _first(column: Column, start: int, stop: int, k: int) -> float:
    counts = column.counts
    return float(column.values[counts[start]]) / k if stop > start and counts[start + 1] > counts[start] else nan


def _last(column: Column, start: int, stop: int, k: int) -> float:
    counts = column.counts
    return float(column.values[counts[stop - 1]]) / k if stop > start and counts[stop] > counts[stop - 1] else nan


_OF_ROWS: dict[str, Aggregate] = {"count": _count, "time_since_last": _time_since_last}
_OF_COLUMNS: dict[str, Callable[[Column, int, int, int], float]] = {
    "first": _first,
    "last": _last,
    "max": _max,
    "median": _median,
    "min": _min,
    "num_unique": _num_unique,
    "std": _std,
    "sum": _sum,
}
