"""Aggregates over the past of a key: for each row, of the events in the window that ends at the row's own cutoff.

Values are computed on integers: a column's numbers times a power of ten (its scale), so that sums are exact. A result
then depends on the events in the window alone: not on the order in which they are added up, on threads, on the other
rows that are asked for, or on whether a window is summed or had as the difference of two running sums.

Events are put in order, those of a few keys at a time. What running totals give is had from them at the two ends of a
window; this takes some 35 bytes for each event and row and 200 MB, beside the tables. DuckDB computes the rest.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import DataError, quoted
from ml.base.times import microseconds
from ml.windows.frames import FRAMED, framed, reach
from ml.windows.line import Integers, Line, numbered
from ml.windows.totals import TOTALLED, Totals

Aggregation = Literal[
    "count", "sum", "mean", "std", "min", "max", "median", "first", "last", "num_unique", "time_since_last"
]
AtCutoff = Literal["excluded", "included"]
LARGEST = 2**41  # of a scaled value: the squares of four million of them then fit 128 bits
SMALLEST = 1000  # of the largest value at the finest scale: below, too few are told apart
MOST_DIGITS = 18  # above, 10**scale is no int64
_AT_ONCE = 2_000_000  # events, or rows, of the keys that are at work


@dataclass(frozen=True)
class Window:
    """One aggregate; `column` is None for a count of events and the time since the last one.

    `seconds` is how far the window reaches back from the cutoff; None: over all of the past.
    """

    name: str
    aggregation: Aggregation
    column: str | None
    seconds: int | None


def scale_of(values: pa.ChunkedArray) -> int:
    """Return how many decimal digits behind the point a column is kept with.

    As few as hold every value exactly, at most six; if none do, nine beside the zeros that the largest value has behind
    the point, as far as they fit: what is smaller is then rounded.
    """
    numbers = np.unique(np.abs(pc.cast(values.drop_null(), pa.float64(), safe=False).to_numpy()))
    numbers = numbers[np.isfinite(numbers)]
    largest = float(numbers[-1]) if len(numbers) else 0.0
    fitting = [digits for digits in range(MOST_DIGITS + 1) if largest * 10**digits < LARGEST]
    exact = [d for d in fitting if d <= 6 and (np.round(numbers * 10**d) / 10**d == numbers).all()]
    zeros = max(-math.floor(math.log10(largest)) - 1, 0) if largest else 0
    return (exact[:1] or [d for d in fitting if d <= 9 + zeros][-1:] or [0])[0]


def scaled_sql(column: str, scale: int) -> str:
    """Return a column as whole numbers, in SQL."""
    return f"cast(round(cast({quoted(column)} as double) * {10**scale}) as bigint) as {quoted(column)}"


def check_range(where: str, table: pa.Table, scales: Mapping[str, int]) -> None:
    """Raise DataError if a column has a number too large to be added up exactly at its scale, or all are too small."""
    for column, scale in scales.items():
        ends = pc.min_max(table[column]).as_py()
        largest = max(abs(float(end)) for end in ends.values() if end is not None) if ends["min"] is not None else 0.0
        if largest * 10**scale >= LARGEST:
            raise DataError(
                f"{where}, column {column!r}: {largest:g} is too large to be added up exactly with {scale} decimal "
                f"digits, which {LARGEST / 10**scale:g} would be: correct it, compute it in another unit, or list the "
                "column under ignore"
            )
        if 0 < largest * 10**scale < SMALLEST and scale == MOST_DIGITS:
            raise DataError(
                f"{where}, column {column!r}: its largest number, {largest:g}, is too small for {scale} decimal "
                "digits, the most there are: compute it in another unit, or list the column under ignore"
            )


def windows(
    events: pa.Table,
    rows: pa.Table,
    keys: Sequence[str],
    time: str,
    scales: Mapping[str, int],
    wanted: Sequence[Window],
    at_cutoff: AtCutoff = "excluded",
    threads: int | None = None,
) -> pa.Table:
    """Compute one float64 column for each of `wanted`, one row for each of `rows`, in its order.

    `events` holds `_row` (text, unique), the keys, `time` and scaled int64 columns. `rows` holds the keys and `cutoff`.
    An event counts if its keys equal the row's and cutoff - window <= time < cutoff (<= if the cutoff is included);
    missing keys equal nothing. Of no events the count and the sum are 0 and everything else is missing; the sample
    standard deviation needs two.
    """
    if events[time].null_count:
        events = events.filter(pc.is_valid(events[time]))
    now = int(at_cutoff == "included")
    event_keys, row_keys = numbered(events, rows, keys)
    row_keys[pc.is_null(rows["cutoff"]).to_numpy()] = -1
    times, cutoffs = (microseconds(column) for column in (events[time], rows["cutoff"]))
    values = {window.name: np.full(len(rows), np.nan) for window in wanted}
    totalled = [window for window in wanted if window.aggregation not in FRAMED]
    for chosen, part in _parts(event_keys, row_keys) if totalled else ():
        past = _Past(events, chosen, event_keys[chosen], times[chosen])
        if {"first", "last"} & {window.aggregation for window in totalled}:
            past.settle()
        part = part[past.line.ranks(row_keys[part], cutoffs[part])]
        for name, column in past.values(totalled, scales, row_keys[part], cutoffs[part], now):
            values[name][part] = column
    if rest := [window for window in wanted if window.aggregation in FRAMED]:
        happened, here = {"k": event_keys, "t": times}, {"k": row_keys, "cut": cutoffs}
        values |= framed(happened, events, here, rest, scales, 1 - now, threads)
    return pa.table({name: pa.array(column, from_pandas=True) for name, column in values.items()})


def _parts(event_keys: Integers, row_keys: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield the events and rows of some keys at a time.

    Rows without keys are in the first part, events without keys in none.
    """
    number = max(len(event_keys), len(row_keys)) // _AT_ONCE + 1
    event_parts, row_parts = (np.where(keys < 0, -1, keys % number) for keys in (event_keys, row_keys))
    for part in range(number):
        yield np.flatnonzero(event_parts == part), np.flatnonzero(np.maximum(row_parts, 0) == part)


class _Past:
    """The events of some keys in order, each key's by time."""

    def __init__(self, events: pa.Table, chosen: Integers, keys: Integers, times: Integers) -> None:
        self.events, self.line = events, Line(keys, times)
        self.order, self.times = chosen[self.line.order], times[self.line.order]

    def column(self, name: str) -> pa.ChunkedArray:
        return self.events[name].take(pa.array(self.order))

    def settle(self) -> None:
        """Put events of one key and time in order of their names; nothing else tells which is the first."""
        self.order = self.order[
            self.line.settled(lambda places: self.events["_row"].take(pa.array(self.order[places])))
        ]

    def values(
        self, wanted: Sequence[Window], scales: Mapping[str, int], keys: Integers, cutoffs: Integers, now: int
    ) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
        """Yield the value of each window for each row, by name; quick where rows go by key and cutoff."""
        end = self.line.before(keys, cutoffs + now)
        starts = {window.seconds: self.line.before(keys, cutoffs - reach(window.seconds)) for window in wanted}
        for window in wanted:
            if window.aggregation == "count":
                yield window.name, (end - starts[window.seconds]).astype(np.float64)
            elif window.aggregation == "time_since_last":
                last = np.append(self.times, 0)[end - 1]
                yield window.name, np.where(starts[window.seconds] < end, (cutoffs - last) / 1e6, np.nan)
        for column in sorted({str(window.column) for window in wanted if window.aggregation in TOTALLED}):
            totals = Totals(column, self.column(column), 10 ** scales[column])
            for window in wanted:
                if window.aggregation in TOTALLED and window.column == column:
                    yield window.name, TOTALLED[window.aggregation](totals, starts[window.seconds], end)
