"""Running totals of a column, and the aggregates that they give of any stretch of events."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import DataError, connection
from ml.windows.line import Integers

Floats = npt.NDArray[np.float64]
_MANY = 2**22  # so many numbers below 2^41 add up within 64 bits, and so do the parts of their squares
_HALF = 21  # bits: a square is added up as high * high, high * low and low * low


class Totals:
    """Whole numbers in the order of their events, `scale` times as large as what they stand for; some are missing.

    A stretch goes from one place up to, but not including, another [n_stretches].
    Raises DataError if the sums of one key could become too large.
    """

    def __init__(self, name: str, column: pa.ChunkedArray, scale: int) -> None:
        self.scale = scale
        self.numbers: Integers = pc.fill_null(column, 0).to_numpy()
        self.valid = pc.is_valid(column).to_numpy()
        largest = int(np.abs(self.numbers).max(initial=0)) if len(column) > _MANY else 0
        if largest * largest * len(column) >= 2**63:
            raise DataError(
                f"column {name!r}: {len(column):,} events of few keys with values up to {largest / scale:g} are too "
                f"many to be added up exactly; group by more columns, or compute the column in another unit"
            )

    def sum(self, start: Integers, end: Integers) -> Floats:
        return self._sum(start, end) / self.scale

    def mean(self, start: Integers, end: Integers) -> Floats:
        count = self._count(start, end)
        with np.errstate(invalid="ignore"):
            return self._sum(start, end) / np.where(count > 0, count * self.scale, np.nan)

    def std(self, start: Integers, end: Integers) -> Floats:
        """Return the standard deviation of a sample, from n * (sum of squares) - (sum)^2, which needs 128 bits."""
        terms = {"n": self._count(start, end), "s": self._sum(start, end)}
        terms |= {f"q{number}": _between(total, start, end) for number, total in enumerate(self._squares)}
        squares = " + ".join(f"q{number}::hugeint * {2**bits}" for number, bits in enumerate((2 * _HALF, _HALF + 1, 0)))
        spread = f"cast(n * ({squares}) - s::hugeint * s as double)"
        with connection(threads=1) as con:
            con.register("terms", pa.table({"i": np.arange(len(start)), **terms}))
            query = (
                f"select case when n > 1 then sqrt({spread} / (n * (n - 1))) / {self.scale} end from terms order by i"
            )
            deviations: Floats = con.sql(query).to_arrow_table().column(0).to_numpy()
        return deviations

    def first(self, start: Integers, end: Integers) -> Floats:
        return self._at(start, start < end)

    def last(self, start: Integers, end: Integers) -> Floats:
        return self._at(end - 1, start < end)

    def _at(self, places: Integers, there: npt.NDArray[np.bool_]) -> Floats:
        values = np.full(len(places), np.nan)
        there = there.copy()
        there[there] = self.valid[places[there]]
        values[there] = self.numbers[places[there]] / self.scale
        return values

    def _sum(self, start: Integers, end: Integers) -> Integers:
        return _between(self._total, start, end)

    def _count(self, start: Integers, end: Integers) -> Integers:
        return _between(self._counts, start, end)

    @cached_property
    def _total(self) -> Integers:
        return _running(self.numbers)

    @cached_property
    def _counts(self) -> Integers:
        return _running(self.valid.astype(np.int64))

    @cached_property
    def _squares(self) -> list[npt.NDArray[np.uint64]]:
        sizes = np.abs(self.numbers).astype(np.uint64)
        high, low = sizes >> np.uint64(_HALF), sizes & np.uint64(2**_HALF - 1)
        return [_running(part) for part in (high * high, high * low, low * low)]


def _running(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the total before each place and after the last.

    Beyond 64 bits it wraps, which leaves a difference right.
    """
    totals = np.zeros(len(values) + 1, values.dtype)
    np.cumsum(values, out=totals[1:])
    return totals


def _between(totals: npt.NDArray[Any], start: Integers, end: Integers) -> npt.NDArray[Any]:
    difference: npt.NDArray[Any] = totals[end] - totals[start]
    return difference


TOTALLED: Mapping[str, Callable[[Totals, Integers, Integers], Floats]] = {
    "sum": Totals.sum,
    "mean": Totals.mean,
    "std": Totals.std,
    "first": Totals.first,
    "last": Totals.last,
}
