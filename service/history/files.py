"""Event files: the Parquet files of window lookups, each read once for all lookups that group it in their ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from service.plan.document import BundleError, Plan
from service.plan.parts import WindowLookup
from service.records.keys import join_key
from service.records.layered import Layered
from service.records.reader import Problem, excerpt
from service.tables.files import check_types, kind_of, microseconds, read_columns, sort_rows, values_of
from service.tables.groups import group_rows
from service.tables.sent import Sent
from service.windows.indexed import Edits, Indexed
from service.windows.search import Search
from service.windows.series import Cells, Event, Series, Totals
from service.windows.sums import LIMIT

ROW = "_row"  # the column of a file that names its events

Place = tuple[Any, ...]  # of one event, the values of the columns that say where lookups hold it


@dataclass(frozen=True)
class EventFile:
    """A file to which events can be added: its columns, and where its lookups hold each event.

    `kinds` has the types of the columns of keys and times, and the order of the values of a place.
    """

    lookups: Mapping[str, WindowLookup]
    kinds: Mapping[str, str]
    values: Sequence[str]
    places: Layered[str, Place]

    def columns(self) -> list[str]:
        """List the columns that an event needs."""
        return [ROW, *self.kinds, *self.values]

    def type_problems(self, schema: Any) -> list[str]:
        """List the columns of a schema of Arrow whose type is not the file's."""
        import pyarrow as pa

        kinds = {ROW: "text", **self.kinds}
        types = {name: schema.field(name).type for name in self.columns()}
        wrong = {name: kind for name, kind in kinds.items() if kind_of(types[name]) != kind}
        problems = [f"{name!r} as a {kind_of(types[name])}, not a {kind}" for name, kind in wrong.items()]
        scaled = [name for name in self.values if not pa.types.is_integer(types[name])]
        return problems + [f"{name!r} as {types[name]}; fixed-point values are integers" for name in scaled]

    def name(self, row: Mapping[str, Any]) -> str:
        """Return the text that names an event."""
        return str(row[ROW])

    def value_problems(self, row: Mapping[str, Any], index: int) -> list[Problem]:
        """List the values of one event that are too large to be summed exactly, by this model or another."""
        return [
            Problem("too large to be summed exactly", index, name, excerpt(value), f"less than {LIMIT}, as scaled")
            for name, value in row.items()
            if name != ROW and name not in self.kinds and type(value) is int and not abs(value) < LIMIT
        ]

    def sent(self, names: Sequence[str], rows: Any) -> Sent:
        """Return rows that were sent by some names; raises BundleError where a row has none of them, or another's."""
        return Sent.of(names, rows, rows[ROW])

    def edits(self, name: str, events: Mapping[str, Mapping[str, Any] | None]) -> dict[Any, Edits]:
        """Return by key the edits by which arrivals change one lookup."""
        lookup, edits = self.lookups[name], dict[Any, Edits]()
        for row, event in events.items():
            if (place := self.places.get(row)) is not None:
                earlier = dict(zip(self.kinds, place, strict=True))
                if (key := _key_of(earlier, lookup)) is not None:
                    edits.setdefault(key, Edits([], [])).removed.append((earlier[lookup.time], row))
            if event is not None and (key := _key_of(event, lookup)) is not None:
                edits.setdefault(key, Edits([], [])).added.append(Event(event[lookup.time], row, event))
        return edits

    def moved(self, events: Mapping[str, Mapping[str, Any] | None]) -> EventFile:
        """Return the file in which events are where they have been sent to."""
        places: dict[str, Place | None] = {
            row: None if event is None else tuple(event[column] for column in self.kinds)
            for row, event in events.items()
        }
        return replace(self, places=self.places.change(places))


def _key_of(event: Mapping[str, Any], lookup: WindowLookup) -> Any:
    """Return the key under which a lookup holds an event; None: it holds it nowhere."""
    if event[lookup.time] is None:
        return None
    return join_key([event[column] for column in lookup.keys])


class FileReader:
    """Reads one file once, for all of its lookups, with the events that were `sent` since."""

    def __init__(
        self,
        path: Path,
        lookups: Mapping[str, WindowLookup],
        needed: Mapping[str, Mapping[str, Totals]],
        plan: Plan,
        sent: Sent | None = None,
    ) -> None:
        self.path, self.lookups = path, lookups
        self.needed = {name: needed[name] for name in lookups}
        self.placing = list(dict.fromkeys(c for lookup in lookups.values() for c in [*lookup.keys, lookup.time]))
        self.values = sorted({column for columns in self.needed.values() for column in columns})
        self.rows = read_columns(path, [ROW, *self.placing, *self.values])
        if sent is not None:
            self.rows = sent.merged(self.rows, self.rows[ROW])
        for name, lookup in lookups.items():
            check_types(self.rows, lookup, numeric=list(self.needed[name]), categorical=[], record=plan.record)
        if problems := [*self._row_problems(), *self._value_problems()]:
            raise BundleError(path.name, sorted(problems))

    def index(self, *, named: bool) -> dict[str, Indexed]:
        """Return the lookups; `named`: with the events' names, so that they can be edited."""
        times = {lookup.time for lookup in self.lookups.values()}
        by_time = {time: sort_rows(self.rows, [time, ROW]) for time in times}
        # one list for all lookups: together they would take more memory than the numbers do
        names = {time: rows[ROW].to_pylist() if named else [] for time, rows in by_time.items()}
        return {
            name: self._index(name, by_time[lookup.time], names[lookup.time]) for name, lookup in self.lookups.items()
        }

    def event_file(self) -> EventFile:
        """Return the file as one to which events can be added."""
        kinds = {name: kind_of(self.rows.schema.field(name).type) for name in self.placing}
        columns = [_shared_values(self.rows[name]) for name in self.placing]
        places = dict(zip(self.rows[ROW].to_pylist(), zip(*columns, strict=True), strict=True))
        return EventFile(self.lookups, kinds, self.values, Layered.of(places))

    def _index(self, name: str, rows: Any, names: list[str]) -> Indexed:
        lookup = self.lookups[name]
        order, spans = group_rows(rows, lookup.keys)
        rows = rows.take(order)
        series = Series.empty(self.needed[name], names).continue_from(
            0,
            microseconds(rows[lookup.time]),
            order if names else order[:0],
            {column: _cells(rows[column]) for column in self.needed[name]},
        )
        return Indexed(series, spans, Layered.of(), Search.of(series, spans.values()))

    def _row_problems(self) -> list[str]:
        names = self.rows[ROW]
        if (kind := kind_of(names.type)) != "text" or names.null_count:
            return [f"column {ROW!r} is a {kind} with {names.null_count} nulls; it must be a text, never null"]
        repeated = len(names) - len(names.unique())
        return [f"{repeated} rows repeat the {ROW!r} of another row"] if repeated else []

    def _value_problems(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.compute as pc

        problems = []
        for name in self.values:
            column = self.rows[name]
            if not pa.types.is_integer(column.type) and not pa.types.is_null(column.type):
                problems.append(f"column {name!r} is of type {column.type}; fixed-point values are integers")
            elif not all(abs(bound) < LIMIT for bound in pc.min_max(column).as_py().values() if bound is not None):
                problems.append(f"column {name!r} has values of {LIMIT} or more, which cannot be summed exactly")
        return problems


def _cells(column: Any) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy()
    return np.ascontiguousarray(values), pc.is_valid(column).to_numpy()


def _shared_values(column: Any) -> list[Any]:
    """Return the values of a column, equal ones the same object; times in microseconds, None where missing."""
    import pyarrow as pa

    encoded = column.combine_chunks().dictionary_encode()
    values = values_of(pa.chunked_array([encoded.dictionary]))
    return [None if code is None else values[code] for code in encoded.indices.to_pylist()]
