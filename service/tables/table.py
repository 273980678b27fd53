"""The table of a lookup: the columns of its file that features use, and rows that are sent as such columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import RowLookup
from service.records.keys import Key, join_key
from service.records.notices import Kind, Notice, notice
from service.tables.files import categorical_matrix, kind_of, numeric_matrix

MISSING_ROW = -1  # the last row of every table holds what a record without a row gets

Row = Mapping[str, Any]  # of a lookup's file: the values of its columns, times in microseconds


class SentRow(NamedTuple):
    """The values of a row that was sent, in the columns of its table."""

    numeric: NDArray[np.float32]
    categorical: Sequence[str]


Match = tuple[int | SentRow, Notice | None]  # a row, or its place in the table, and a warning for the caller


@dataclass(frozen=True)
class Columns:
    """The columns of a lookup's file: `kinds` are the types of its keys and times, and features use the others."""

    kinds: Mapping[str, str]
    numeric: Sequence[str]
    categorical: Sequence[str]


class Table:
    """The columns of one file that features use, and the record columns that select a row."""

    def __init__(self, name: str, lookup: RowLookup, rows: Any, columns: Columns) -> None:
        self.name = name
        self.key = Key(lookup.on)
        self.columns = columns
        self.numeric = numeric_matrix(rows, columns.numeric)
        self.categorical = categorical_matrix(rows, columns.categorical)
        self._keys = lookup.keys

    def no_row(self, kind: Kind, why: str) -> Match:
        """Return that there is no row for a record, and why."""
        return MISSING_ROW, notice(kind, self.name, self.key.on, f"{self.name}: {why}")

    def key_of(self, row: Row) -> Any:
        """Return the key by which a row is found; None: a part of it is missing."""
        return join_key([row[column] for column in self._keys])

    def sent_row(self, row: Row) -> SentRow:
        """Return the values of a row as the matrices have them."""
        with np.errstate(over="ignore"):  # what float32 cannot hold counts as missing, as in training
            numeric = np.array([row[name] for name in self.columns.numeric], np.float64).astype(np.float32)
        numeric[~np.isfinite(numeric)] = np.nan
        return SentRow(numeric, [row[name] or "" for name in self.columns.categorical])


def kinds_of(rows: Any, columns: Sequence[str]) -> dict[str, str]:
    """Return the types of some columns, as the plan names them."""
    return {name: kind_of(rows.schema.field(name).type) for name in columns}
