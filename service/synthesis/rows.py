"""Rows: those of one table that synthesized features are made of, found by the values of some columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.records.layered import Layered

Row = Mapping[str, Any]  # times in microseconds since 1970, as in all that this module holds
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Index:
    """The places of the rows with each value of one column; `values` are sorted, and `order` has their rows in turn."""

    values: NDArray[Any]
    starts: Positions
    order: Positions

    @classmethod
    def of(cls, column: Any) -> Index:
        """Index a column of Arrow; rows without a value are nowhere."""
        import pyarrow.compute as pc

        positions = np.flatnonzero(pc.is_valid(column).to_numpy())
        values = column.drop_null().to_numpy()
        order = np.argsort(values, kind="stable")
        distinct, starts = np.unique(values[order], return_index=True)
        return cls(distinct, np.append(starts, len(values)), positions[order])

    def find(self, values: Sequence[Any]) -> list[Positions]:
        """Find the rows of each of some values."""
        if not len(self.values):
            return [self.order] * len(values)
        keys = np.array(values, self.values.dtype)
        at = np.minimum(np.searchsorted(self.values, keys), len(self.values) - 1)
        starts, stops = self.starts[at], np.where(self.values[at] == keys, self.starts[at + 1], self.starts[at])
        return [self.order[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


@dataclass(frozen=True)
class Selection:
    """Some rows: the positions of those from the bundle, the names of those sent since, and values that have none."""

    positions: Positions
    names: list[str]
    unknown: set[Any]


@dataclass(frozen=True)
class Rows:
    """A table as of one moment, never changed, so that what reads it needs no lock.

    `added` are the rows that were sent, by the text of their key, and `holders` for each indexed column and value their
    names; `gone` are positions in the bundle's `table` whose place they took.
    """

    table: Any
    indices: Mapping[str, Index]
    key: str | None
    gone: Layered[int, bool] = field(default_factory=Layered.of)
    added: Layered[str, Row] = field(default_factory=Layered.of)
    holders: Mapping[str, Layered[Any, tuple[str, ...]]] = field(default_factory=dict)

    def all(self) -> Selection:
        """Select every row."""
        return Selection(self._left(np.arange(self.table.num_rows)), list(self.added), set())

    def find(self, column: str, values: Collection[Any]) -> Selection:
        """Select the rows with one of some distinct values, none missing, in an indexed column."""
        distinct, names, unknown = list(values), list[str](), set()
        holders: Mapping[Any, tuple[str, ...]] = self.holders.get(column, {})
        parts = [self._left(positions) for positions in self.indices[column].find(distinct)] if distinct else []
        for value, part in zip(distinct, parts, strict=True):
            names += holders.get(value, ())
            if not len(part) and value not in holders:
                unknown.add(value)
        return Selection(np.concatenate(parts) if parts else np.array([], np.int64), names, unknown)

    def values(self, rows: Selection, column: str) -> list[Any]:
        """Return the values of some rows in a column."""
        stored = self.table.column(column).take(rows.positions).to_pylist() if len(rows.positions) else []
        return [*stored, *(self.added[name][column] for name in rows.names)]

    def edit(self, events: Mapping[str, Row | None]) -> tuple[Rows, set[str]]:
        """Return the table after each of `events` took the place of the row of its name, and the names that had one."""
        gone, replaced = dict[int, bool | None](), set[str]()
        earlier = {name: self.added.get(name) for name in events}
        for name in events:
            stored = [position for position in self._positions(name) if position not in self.gone]
            gone |= dict.fromkeys(stored, True)
            if stored or earlier[name] is not None:
                replaced.add(name)
        holders: dict[str, Layered[Any, tuple[str, ...]]] = {
            column: _move(
                self.holders.get(column, Layered.of()),
                {name: row and row[column] for name, row in earlier.items()},
                {name: row and row[column] for name, row in events.items()},
            )
            for column in self.indices
        }
        return replace(self, gone=self.gone.change(gone), added=self.added.change(events), holders=holders), replaced

    def _left(self, positions: Positions) -> Positions:
        if not self.gone:
            return positions
        return np.array([position for position in positions.tolist() if position not in self.gone], np.int64)

    def _positions(self, name: str) -> list[int]:
        index = self.indices[str(self.key)]
        at: list[int] = index.find([name if index.values.dtype == object else int(name)])[0].tolist()
        return at


def _move(
    holders: Layered[Any, tuple[str, ...]], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Layered[Any, tuple[str, ...]]:
    """Return the holders of values after names have moved from some values to others; None is no value."""
    moved: dict[Any, dict[str, None]] = {}
    for name in old:
        for value in (old[name], new[name]):
            if value is not None and value not in moved:
                moved[value] = dict.fromkeys(holders.get(value, ()))
        if old[name] is not None:
            del moved[old[name]][name]
        if new[name] is not None:
            moved[new[name]][name] = None
    return holders.change({value: tuple(names) or None for value, names in moved.items()})
