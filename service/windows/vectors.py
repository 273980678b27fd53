"""Vectors: aggregates over many ranges of a series at once, equal to the last bit to those of one range.

NumPy's integers have 64 bits; what may need more is left to the aggregate of one range, whose integers have no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import WindowFeature
from service.records.reader import SECOND_US
from service.windows.series import Column, Series
from service.windows.sums import Sums

Positions = NDArray[np.int64]
Values = NDArray[np.float64]

#: The values of the events of a series from each start, [windows, n], to its stop, [n], as of cutoffs in microseconds,
#: [n]; missing NaN. None: they are left to the aggregate of one range.
Vector = Callable[[Series, Positions, Positions, Positions], Values | None]

_SURE = 2**62  # a sum or difference of two integers below has 64 bits
_WHOLE = 2**53  # integers below are floats


def vector_of(feature: WindowFeature, scale: int) -> Vector | None:
    """Return the function that computes `feature`; None: there is none for its aggregation."""
    if feature.column is None:
        return _OF_ROWS.get(feature.aggregation)
    of = _OF_COLUMNS.get(feature.aggregation)
    if of is None:
        return None
    column, k, of_column = feature.column, 10**scale, of
    return lambda series, start, stop, _: of_column(series.columns[column], start, stop, k)


def _count(_: Series, start: Positions, stop: Positions, __: Positions) -> Values:
    return (stop - start).astype(np.float64)


def _time_since_last(series: Series, start: Positions, stop: Positions, cutoff_us: Positions) -> Values | None:
    if not len(series):
        return np.full(start.shape, np.nan)
    since = cutoff_us - _integers(series.times)[stop - 1]
    return np.where(stop > start, since / SECOND_US, np.nan) if np.abs(since).max() < _WHOLE else None


def _sum(column: Column, start: Positions, stop: Positions, k: int) -> Values | None:
    counts = _integers(column.counts)
    assert column.sums is not None
    total = _between(column.sums, counts[start], counts[stop])
    return None if total is None else total.astype(np.float64) / k


def _mean(column: Column, start: Positions, stop: Positions, k: int) -> Values | None:
    counts = _integers(column.counts)
    first, last = counts[start], counts[stop]
    assert column.sums is not None
    total = _between(column.sums, first, last)
    if total is None or len(column.values) * k >= _SURE:
        return None
    count = last - first
    return total.astype(np.float64) / np.where(count > 0, count * k, np.nan)


def _std(column: Column, start: Positions, stop: Positions, k: int) -> Values | None:
    counts = _integers(column.counts)
    first, last = counts[start], counts[stop]
    assert column.sums is not None
    assert column.squares is not None
    total, squares = _between(column.sums, first, last), _between(column.squares, first, last)
    if total is None or squares is None:
        return None
    count = last - first
    if max(_largest(total) ** 2, _largest(count) * _largest(squares)) >= _SURE:
        return None
    spread = count * squares - total * total
    return np.sqrt(spread.astype(np.float64) / np.where(count > 1, count * (count - 1), np.nan)) / k


def _first(column: Column, start: Positions, stop: Positions, k: int) -> Values:
    return _valued(column, start, stop > start, k)


def _last(column: Column, start: Positions, stop: Positions, k: int) -> Values:
    return _valued(column, stop - 1, stop > start, k)


def _valued(column: Column, event: Positions, there: NDArray[np.bool_], k: int) -> Values:
    """Return the values of single events, those that are `there`."""
    counts, values = _integers(column.counts), _integers(column.values)
    if not len(values):
        return np.full(there.shape, np.nan)
    event = np.where(there, event, 0)
    at = counts[event]
    there = there & (counts[event + 1] > at)
    return np.where(there, values[np.where(there, at, 0)].astype(np.float64) / k, np.nan)


def _between(sums: Sums, first: Positions, last: Positions) -> Positions | None:
    """Return sums of values; None: they may outgrow 64 bits."""
    if sums.high is not None:
        return None
    low = _integers(sums.low)
    before, after = low[first], low[last]
    if max(_largest(before), _largest(after)) >= _SURE:
        return None
    difference: Positions = after - before
    return difference


def _largest(values: Positions) -> int:
    """Return the largest absolute value."""
    return max(int(values.max()), -int(values.min()))


def _integers(values: Any) -> NDArray[np.int64]:
    return np.frombuffer(values, np.int64)


_OF_ROWS: dict[str, Vector] = {"count": _count, "time_since_last": _time_since_last}
_OF_COLUMNS: dict[str, Callable[[Column, Positions, Positions, int], Values | None]] = {
    "first": _first,
    "last": _last,
    "mean": _mean,
    "std": _std,
    "sum": _sum,
}
