"""A table in a Parquet file, of which a reader holds one batch of one column, or the columns that it asks for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 131_072  # rows of a column that are held at once


@dataclass(frozen=True)
class TableFile:
    """The rows from `start` on, `length` of them or all, of a Parquet file on this machine."""

    path: Path
    start: int = 0
    length: int | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the file."""
        return pq.read_schema(self.path)

    @cached_property
    def num_rows(self) -> int:
        """The number of these rows."""
        rows = int(pq.read_metadata(self.path).num_rows) - self.start
        return max(rows if self.length is None else min(rows, self.length), 0)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self.schema.names)

    @property
    def is_whole(self) -> bool:
        """True where these are all rows of the file."""
        return self.start == 0 and (self.length is None or self.length >= pq.read_metadata(self.path).num_rows)

    def slice(self, start: int, length: int | None = None) -> "TableFile":
        """Return some of these rows."""
        rest = self.num_rows - start
        return replace(self, start=self.start + start, length=rest if length is None else min(rest, length))

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of at most BATCH, of the columns at least those that are named."""
        skip, rest = self.start, self.num_rows
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BATCH, columns=columns):
                rows = batch.slice(skip, rest)
                skip, rest = max(skip - len(batch), 0), rest - len(rows)
                if len(rows):
                    yield rows
                if rest == 0:
                    return

    def select(self, columns: Collection[str]) -> pa.Table:
        """Return some columns of these rows as a table in memory."""
        if not columns:
            return pa.table({"": pa.nulls(self.num_rows)}).select([])
        names = list(columns)
        if self.is_whole:
            with pq.ParquetFile(self.path) as file:
                return file.read(names).select(names)  # which reads `a.b` too for `a`
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.Table.from_batches((batch.select(names) for batch in self.batches(names)), schema)

    def read(self) -> pa.Table:
        """Return all columns of these rows as a table in memory."""
        return pq.read_table(self.path, memory_map=True).slice(self.start, self.length)
