"""Row files: the Parquet files of the tables that synthesized features read, and the rows that may be added."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.plan.document import BundleError
from service.plan.parts import SqlType, SynthesisTable
from service.records.reader import Problem
from service.synthesis.rows import Index, Row, Rows
from service.tables.files import read_columns
from service.tables.sent import Sent


@dataclass(frozen=True)
class SentTable:
    """A table that takes rows which are sent."""

    table: str
    about: SynthesisTable

    def columns(self) -> list[str]:
        """List the columns of a row."""
        return list(self.about.columns)

    def type_problems(self, schema: Any) -> list[str]:
        """List the columns of a schema of Arrow whose type is not the table's."""
        return _type_problems(schema, self.about)

    def name(self, row: Row) -> str:
        """Return the text that names a row."""
        return str(row[str(self.about.key)])

    def sent(self, names: Sequence[str], rows: Any) -> Sent:
        """Return rows that were sent by some names; raises BundleError where a row has none of them, or another's."""
        if self.about.columns[str(self.about.key)] not in ("BIGINT", "VARCHAR"):
            raise BundleError(self.about.file, ["its key is spelled otherwise by Arrow"])
        return Sent.of(names, rows, rows[str(self.about.key)].cast("string"))

    def value_problems(self, row: Row, index: int) -> list[Problem]:
        """List no problems: what the query makes of a row, the table can hold."""
        return []


def load_rows(table: SynthesisTable, linked: Collection[str], path: Path, sent: Sent | None = None) -> Rows:
    """Load the rows of a file, with those that were sent since, to be found by their key and the columns `linked`."""
    rows = read_columns(path, list(table.columns))
    if problems := _type_problems(rows.schema, table):
        raise BundleError(table.file, sorted(f"it has {problem}" for problem in problems))
    if sent is not None:
        rows = sent.merged(rows, rows[str(table.key)].cast("string"))
    rows = _normalize(rows)
    indices = {column: Index.of(rows[column]) for column in {*linked, *([table.key] if table.key else [])}}
    if table.key is not None and (extra := rows.num_rows - len(indices[table.key].values)):
        raise BundleError(table.file, [f"{extra} rows have no {table.key!r}, or that of another row"])
    return Rows(rows, indices, table.key)


def _type_problems(schema: Any, table: SynthesisTable) -> list[str]:
    import pyarrow as pa

    types: dict[SqlType, Any] = {
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us"),
    }
    stored = {name: schema.field(name).type for name in table.columns}
    return [f"{n!r} as {stored[n]}, not {kind}" for n, kind in table.columns.items() if stored[n] != types[kind]]


def _normalize(rows: Any) -> Any:
    """Return the same rows with times in microseconds, and NaN, which is a missing number, as null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, field in enumerate(rows.schema):
        values = rows[field.name]
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(index, field.name, values.cast(pa.int64()))
        elif pa.types.is_floating(field.type):
            rows = rows.set_column(index, field.name, pc.if_else(pc.is_nan(values), None, values))
    return rows.combine_chunks()
