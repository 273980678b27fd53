"""Lookups: the Parquet files of a bundle, held so that the row of one key and time is found in microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from service.plan.document import BundleError
from service.plan.parts import ColumnType, RowLookup, StaticLookup
from service.records.layered import layered
from service.records.reader import Record
from service.tables.files import check_types, key_values, read_rows, sort_by_key, times_of
from service.tables.latest import LatestFinder, read_past
from service.tables.table import Columns, Match, Row, SentRow, Table, kinds_of


class Finder(Protocol):
    """Finds the row of a table for a record; never changed, so that what reads one needs no lock."""

    table: Table

    def find(self, record: Record) -> Match:
        """Find the row for `record`, or MISSING_ROW and, where the caller should know, why."""
        ...

    def edit(self, rows: Sequence[Row]) -> tuple[Finder, list[bool]]:
        """Return the lookup after some rows, and of each of them whether it took the place of another."""
        ...


class StaticFinder:
    """One row per key."""

    def __init__(self, table: Table, rows: Mapping[Any, int | SentRow]) -> None:
        self.table = table
        self._rows = rows

    def find(self, record: Record) -> Match:
        """Find the row for `record`, or MISSING_ROW and, where the caller should know, why."""
        key = self.table.key.of(record)
        if key is None:
            return self.table.no_row("missing_key", f"no row, for {self.table.key.absent(record)}")
        row = self._rows.get(key)
        if row is None:
            return self.table.no_row("unseen_key", f"no row for {self.table.key.text(record)}")
        return row, None

    def edit(self, rows: Sequence[Row]) -> tuple[StaticFinder, list[bool]]:
        """Return the lookup after some rows, and of each of them whether it took the place of another."""
        sent = {self.table.key_of(row): self.table.sent_row(row) for row in rows}
        return StaticFinder(self.table, layered(self._rows).change(sent)), [key in self._rows for key in sent]


def load_lookup(
    name: str,
    lookup: RowLookup,
    folder: Path,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    record: Mapping[str, ColumnType],
    names: Sequence[str] = (),
) -> Finder:
    """Load the lookup's file, reduced to its keys, its times and the columns that features use.

    `names` are the columns that name a row which is sent.
    """
    rows = read_rows(folder / lookup.file, lookup, [*numeric, *categorical])
    check_types(rows, lookup, numeric=numeric, categorical=categorical, record=record)
    rows = sort_by_key(rows, lookup)
    columns = Columns(kinds_of(rows, [*lookup.keys, *times_of(lookup)]), numeric, categorical)
    table, keys = Table(name, lookup, rows, columns), key_values(rows, lookup)
    if isinstance(lookup, StaticLookup):
        _check_unique(lookup, keys)
        return StaticFinder(table, {key: row for row, key in enumerate(keys)})
    return LatestFinder(table, lookup, read_past(rows, lookup, keys), names)


def _check_unique(lookup: RowLookup, keys: Sequence[Any]) -> None:
    if repeated := len(keys) - len(set(keys)):
        raise BundleError(lookup.file, [f"{repeated} rows repeat the key of another row"])
