"""Lookups: the Parquet files of a bundle, held so that the row of one key and time is found in microseconds."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.plan.document import BundleError
from service.plan.parts import ColumnType, LatestLookup, RowLookup, StaticLookup
from service.records.keys import Key, time_text
from service.records.notices import Kind, Notice, notice
from service.records.reader import MICROSECOND, SECOND_US, Record
from service.tables.files import (
    categorical_matrix,
    check_types,
    key_values,
    microseconds,
    numeric_matrix,
    read_rows,
    sort_by_key,
    spans_of,
)

MISSING_ROW = -1  # the last row of every table holds what a record without a row gets

Match = tuple[int, Notice | None]  # a row of the table, and a warning for the caller


class Table:
    """The columns of one file that features use, and the record columns that select a row."""

    def __init__(
        self, name: str, lookup: RowLookup, numeric: NDArray[np.float32], categorical: NDArray[np.object_]
    ) -> None:
        self.name = name
        self.key = Key(lookup.on)
        self.numeric = numeric
        self.categorical = categorical

    def no_row(self, kind: Kind, why: str) -> Match:
        """Return that there is no row for a record, and why."""
        return MISSING_ROW, notice(kind, self.name, self.key.on, f"{self.name}: {why}")


class Finder(Protocol):
    """Finds the row of a table for a record."""

    table: Table

    def find(self, record: Record) -> Match:
        """Find the row for `record`, or MISSING_ROW and, where the caller should know, why."""
        ...


class StaticFinder:
    """One row per key."""

    def __init__(self, table: Table, rows: Mapping[Any, int]) -> None:
        self.table = table
        self._rows = rows

    def find(self, record: Record) -> Match:
        key = self.table.key.of(record)
        if key is None:
            return self.table.no_row("missing_key", f"no row, for {self.table.key.absent(record)}")
        row = self._rows.get(key)
        if row is None:
            return self.table.no_row("unseen_key", f"no row for {self.table.key.text(record)}")
        return row, None


class LatestFinder:
    """The last row of a key at or before the cutoff, within its validity."""

    def __init__(self, table: Table, spans: Mapping[Any, tuple[int, int]], times: array[int], lookup: LatestLookup):
        self.table = table
        self._spans = spans
        self._times = times
        self._bisect = bisect_right if lookup.at_cutoff == "included" else bisect_left
        self._valid_for_us = None if lookup.valid_for_s is None else round(lookup.valid_for_s * SECOND_US)

    def find(self, record: Record) -> Match:
        key = self.table.key.of(record)
        if key is None:
            return self.table.no_row("missing_key", f"no row, for {self.table.key.absent(record)}")
        span = self._spans.get(key)
        if span is None:
            return self.table.no_row("unseen_key", f"no row for {self.table.key.text(record)}")
        row = self._bisect(self._times, record.cutoff_us, *span) - 1
        if row < span[0]:
            sought = f"{self.table.key.text(record)} up to the cutoff {time_text(record.cutoff_us)}"
            return self.table.no_row("too_early", f"no row for {sought}")
        if self._valid_for_us is not None and self._times[row] < record.cutoff_us - self._valid_for_us:
            return self.table.no_row("too_old", self._too_old(record, row, self._valid_for_us))
        return row, None

    def _too_old(self, record: Record, row: int, valid_for_us: int) -> str:
        return (
            f"the latest row for {self.table.key.text(record)} is of {time_text(self._times[row])}, "
            f"more than {valid_for_us * MICROSECOND} before the cutoff {time_text(record.cutoff_us)}"
        )


def load_lookup(
    name: str,
    lookup: RowLookup,
    folder: Path,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    record: Mapping[str, ColumnType],
) -> Finder:
    """Load the lookup's file, reduced to its keys, its time and the columns that features use."""
    rows = read_rows(folder / lookup.file, lookup, [*numeric, *categorical])
    check_types(rows, lookup, numeric=numeric, categorical=categorical, record=record)
    rows = sort_by_key(rows, lookup)
    table = Table(name, lookup, numeric_matrix(rows, numeric), categorical_matrix(rows, categorical))
    keys = key_values(rows, lookup)
    if isinstance(lookup, StaticLookup):
        _check_unique(lookup, keys)
        return StaticFinder(table, {key: row for row, key in enumerate(keys)})
    times = array("q", microseconds(rows[lookup.time]).tobytes())
    return LatestFinder(table, spans_of(keys), times, lookup)


def _check_unique(lookup: RowLookup, keys: Sequence[Any]) -> None:
    if repeated := len(keys) - len(set(keys)):
        raise BundleError(lookup.file, [f"{repeated} rows repeat the key of another row"])
