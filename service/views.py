"""Views: rows that were sent as events, turned into the columns of a file by the plan's queries, in DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from service.event_files import ROW, EventFile
from service.plan import BundleError, ColumnType, View
from service.records import InvalidRecords, Problem, Value, shown, to_us
from service.sums import LIMIT
from service.tables import kind_of

MAX_FAILING_ROWS = 100  # to find more of them would take too long

Rows = Sequence[Mapping[str, Value]]


def connect() -> Any:
    """An in-memory DuckDB that reaches nothing outside it."""
    import duckdb

    return duckdb.connect(config={"threads": 1, "enable_external_access": False, "python_enable_replacements": False})


class Query:
    """One view's query, checked to yield the columns of its file; used by one thread at a time."""

    def __init__(self, view: View, record: Mapping[str, ColumnType], file: EventFile, connection: Any) -> None:
        self.file, self._view, self._record, self._event_file = view.file, view, record, file
        self._connection = connection
        self._schema = self._checked()

    def run(self, rows: Rows) -> list[dict[str, Any]]:
        """The file's columns of the rows that it keeps; raises InvalidRecords, which counts `rows`, for bad values."""
        try:
            found = self._result(rows).to_pylist()
        except self._errors() as error:
            failing = islice(self._failing(range(len(rows)), rows), MAX_FAILING_ROWS)
            problems = [self._failure(index, rows[index]) for index in failing]
            raise (InvalidRecords(problems) if problems else error) from None
        return [{name: _plain(value) for name, value in each.items()} for each in found]

    def value_problems(self, event: Mapping[str, Any], index: int) -> list[Problem]:
        """The values of one event that are too large to be summed exactly, by this model or another."""
        return [
            Problem("too large to be summed exactly", index, name, shown(event[name]), f"less than {LIMIT}, as scaled")
            for name in self._schema.names
            if name not in self._event_file.kinds and type(event[name]) is int and not abs(event[name]) < LIMIT
        ]

    def _result(self, rows: Rows, columns: str = "*") -> Any:
        """A table of Arrow: some columns of the query over `rows`."""
        self._connection.register("event", _table(rows, self._record))
        try:
            return self._connection.sql(f"select {columns} from ({self._view.query}\n)").to_arrow_table()
        finally:
            self._connection.unregister("event")

    def _errors(self) -> type[Exception]:
        import duckdb

        return duckdb.Error

    def _fails(self, rows: Rows, columns: str = "*") -> str | None:
        try:
            self._result(rows, columns)
        except self._errors() as error:
            return str(error).partition("\n")[0]
        return None

    def _failing(self, indices: range, rows: Rows) -> Iterator[int]:
        """The rows on which the query fails, found by halving."""
        if self._fails([rows[index] for index in indices]) is None:
            return
        if len(indices) == 1:
            yield indices[0]
            return
        middle = len(indices) // 2
        yield from self._failing(indices[:middle], rows)
        yield from self._failing(indices[middle:], rows)

    def _failure(self, index: int, row: Mapping[str, Value]) -> Problem:
        """Which column of the file cannot be computed of a row, and why."""
        for name in self._schema.names:
            if said := self._fails([row], '"' + name.replace('"', '""') + '"'):
                return Problem(said, index, name, None, f"values of which {name!r} can be computed")
        return Problem(str(self._fails([row])), index, None, None, "values that the plan's query accepts")

    def _checked(self) -> Any:
        """The schema of the result; raises BundleError unless it has what the file has."""
        import pyarrow as pa

        try:
            schema = self._result([]).schema
        except self._errors() as error:
            raise BundleError("plan.json", [f"the query for {self.file} fails: {error}"]) from None
        kinds = {ROW: "text", **self._event_file.kinds}
        wanted = [*kinds, *self._event_file.values]
        if absent := sorted(set(wanted) - set(schema.names)):
            raise BundleError("plan.json", [f"the query for {self.file} yields no columns {absent}"])
        types = {name: schema.field(name).type for name in wanted}
        problems = [
            f"the query for {self.file} yields {name!r} as a {kind_of(types[name])}, not a {kind}"
            for name, kind in kinds.items()
            if kind_of(types[name]) != kind
        ]
        problems += [
            f"the query for {self.file} yields {name!r} as {types[name]}; fixed-point values are integers"
            for name in self._event_file.values
            if not pa.types.is_integer(types[name])
        ]
        if problems:
            raise BundleError("plan.json", sorted(problems))
        return schema


def _table(rows: Rows, record: Mapping[str, ColumnType]) -> Any:
    import pyarrow as pa

    def column(name: str, kind: ColumnType) -> Any:
        values = [row[name] for row in rows]
        if kind == "text":
            return pa.array(values, pa.string())
        if kind == "time":
            return pa.array(values, pa.timestamp("us"))
        numbers = pa.array([None if value is None else float(value) for value in values], pa.float64())  # type: ignore[arg-type]
        return numbers.cast(pa.bool_()) if kind == "flag" else numbers

    return pa.table({name: column(name, kind) for name, kind in record.items()})


def _plain(value: Any) -> Any:
    return to_us(value) if isinstance(value, dt.datetime) else value
