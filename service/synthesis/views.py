"""Views: rows that were sent as events, turned into the columns of a file by the plan's queries, in DuckDB."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol

from service.plan.document import BundleError
from service.plan.parts import ColumnType, SqlType, View
from service.records.reader import InvalidRecords, Problem, Value, to_us

MAX_FAILING_ROWS = 20  # to find more of them would take too long
FEW = 100  # rows for which to plan the query would take longer than all else

SQL_TYPES: dict[ColumnType, SqlType] = {"text": "VARCHAR", "time": "TIMESTAMP", "number": "DOUBLE", "flag": "BOOLEAN"}

Rows = Sequence[Mapping[str, Value]]


# As where the plan's queries were made: a division by zero is null, and no machine's time zone matters.
SETTINGS = "set error_on_division_by_zero = false; set TimeZone = 'UTC'"


def connect() -> Any:
    """Open an in-memory DuckDB that reaches nothing outside it."""
    import duckdb

    connection = duckdb.connect(
        config={"threads": 1, "enable_external_access": False, "python_enable_replacements": False}
    )
    connection.execute(SETTINGS)
    return connection


def literal(text: str) -> str:
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def decode_sql(parameter: str, kind: SqlType) -> str:
    """Write the expression of the values of a JSON array, one a row; times are in microseconds."""
    stored = "BIGINT" if kind == "TIMESTAMP" else kind
    value = f"unnest(from_json({parameter}::VARCHAR, '[\"{stored}\"]'))"
    return f"make_timestamp({value})" if kind == "TIMESTAMP" else value


def quoted(name: str) -> str:
    """Quote a name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


class Target(Protocol):
    """A file in memory to which a view's rows are added."""

    def columns(self) -> list[str]:
        """List the columns that it needs."""
        ...

    def type_problems(self, schema: Any) -> list[str]:
        """List the columns of a schema of Arrow, which has all that it needs, that have a wrong type."""
        ...

    def name(self, row: Mapping[str, Any]) -> str:
        """Return the text that names a row: one of the same name takes its place."""
        ...

    def value_problems(self, row: Mapping[str, Any], index: int) -> list[Problem]:
        """List what it cannot hold of a row, which was the one at `index` of those sent."""
        ...


class Query:
    """One view's query, checked to yield the columns of its target; used by one thread at a time."""

    def __init__(self, view: View, record: Mapping[str, ColumnType], target: Target, connection: Any) -> None:
        self.file, self.target = view.file, target
        self._view, self._record, self._connection = view, record, connection
        self._schema = self._check()
        self._planned = connection.cursor()
        self._planned.execute(SETTINGS)
        self._planned.execute(f"prepare file as {self._statement()}")

    def run(self, rows: Rows) -> list[dict[str, Any]]:
        """Return the file's columns of the rows that it keeps; raises InvalidRecords, by place in `rows`."""
        try:
            results = self._quick(rows) if len(rows) <= FEW and not self._odd(rows) else None
            if results is None:
                results = self._result(rows).to_pylist()
        except self._errors() as error:
            problems = list(self._failures(rows))
            raise (InvalidRecords(problems) if problems else error) from None
        return [{name: _plain(value) for name, value in result.items()} for result in results]

    def table(self, rows: Rows) -> Any:
        """Return the same as a table of Arrow; raises an error of DuckDB's where some row cannot be computed."""
        return self._result(rows)

    def _statement(self) -> str:
        """Write the query over columns of JSON, so that it is planned once: what DuckDB registers changes each time."""
        columns = [
            f"{decode_sql(f'${number}', SQL_TYPES[kind])} as {quoted(name)}"
            for number, (name, kind) in enumerate(self._record.items(), start=1)
        ]
        return f"with event as materialized (select {', '.join(columns)}) select * from ({self._view.query}\n)"

    def _quick(self, rows: Rows) -> list[dict[str, Any]] | None:
        """Return the result for a few rows; None: it fails, and is to be asked where it says why."""
        values = ([_as_json(row[name]) for row in rows] for name in self._record)
        try:
            self._planned.execute(f"execute file({', '.join(literal(json.dumps(column)) for column in values)})")
            return [dict(zip(self._schema.names, row, strict=True)) for row in self._planned.fetchall()]
        except self._errors():
            return None

    def _odd(self, rows: Rows) -> bool:
        """Check whether some number is a key that no double holds."""
        numbers = [name for name, kind in self._record.items() if kind == "number"]
        return any(type(row[name]) is int and float(row[name]) != row[name] for row in rows for name in numbers)

    def _result(self, rows: Rows, columns: str = "*") -> Any:
        """Return a table of Arrow: some columns of the query over `rows`."""
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
        """Yield the rows on which the query fails, found by halving."""
        if self._fails([rows[index] for index in indices]) is None:
            return
        if len(indices) == 1:
            yield indices[0]
            return
        middle = len(indices) // 2
        yield from self._failing(indices[:middle], rows)
        yield from self._failing(indices[middle:], rows)

    def _failures(self, rows: Rows) -> Iterator[Problem]:
        """Yield the problems of the first rows that fail."""
        names = self._schema.names
        for index in islice(self._failing(range(len(rows)), rows), MAX_FAILING_ROWS):
            problem = self._failure(index, rows[index], names)
            names = sorted(names, key=problem.field.__ne__)  # what fails once, fails again
            yield problem

    def _failure(self, index: int, row: Mapping[str, Value], names: Sequence[str]) -> Problem:
        """Return the problem of a row: the column of the file that cannot be computed of it, and why."""
        for name in names:
            if error := self._fails([row], quoted(name)):
                return Problem(error, index, name, None, f"values of which {name!r} can be computed")
        return Problem(str(self._fails([row])), index, None, None, "values that the plan's query accepts")

    def _check(self) -> Any:
        """Return the schema of the result; raises BundleError unless it has what the file has."""
        try:
            schema = self._result([]).schema
        except self._errors() as error:
            raise BundleError("plan.json", [f"the query for {self.file} fails: {error}"]) from None
        if absent := sorted(set(self.target.columns()) - set(schema.names)):
            raise BundleError("plan.json", [f"the query for {self.file} yields no columns {absent}"])
        if problems := self.target.type_problems(schema):
            yields = f"the query for {self.file} yields"
            raise BundleError("plan.json", sorted(f"{yields} {problem}" for problem in problems))
        return schema


def _as_json(value: Value) -> Any:
    return to_us(value) if isinstance(value, dt.datetime) else value


def _table(rows: Rows, record: Mapping[str, ColumnType]) -> Any:
    import pyarrow as pa

    def column(name: str, kind: ColumnType) -> Any:
        values = [row[name] for row in rows]
        if kind == "text":
            return pa.array(values, pa.string())
        if kind == "time":
            return pa.array(values, pa.timestamp("us"))
        if any(isinstance(value, int) and float(value) != value for value in values):
            # such a number is a key, and as a double it would be another one
            with suppress(pa.ArrowInvalid, OverflowError):
                return pa.array(values, pa.int64())
        numbers = pa.array([None if value is None else float(value) for value in values], pa.float64())  # type: ignore[arg-type]
        return numbers.cast(pa.bool_()) if kind == "flag" else numbers

    return pa.table({name: column(name, kind) for name, kind in record.items()})


def _plain(value: Any) -> Any:
    """Return times in microseconds, and NaN, which is a missing number, as None."""
    if value != value:
        return None
    return to_us(value) if isinstance(value, dt.datetime) else value
