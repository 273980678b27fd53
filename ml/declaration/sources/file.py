"""A source that is a file, on this machine or anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import Field, field_serializer

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind

if TYPE_CHECKING:
    import pyarrow as pa

    from ml.declaration.sources.rows import Rows

_BATCH = 65_536  # rows of a batch


class FileSource(SourceKind):
    """A CSV or Parquet file."""

    keys = ("path",)

    path: str = Field(description="A CSV or Parquet file: a path, or any URL that fsspec reads (s3://, http://, …).")

    @field_serializer("path", when_used="json")
    def _without_secrets(self, path: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(path)

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read the file by its ending. Raises DataError for one that does not exist, or ends otherwise."""
        suffix = (self.path.split("?")[0] if "://" in self.path else self.path).lower()
        try:
            if suffix.endswith((".parquet", ".pq")):
                with _parquet_rows(self.path) as rows:
                    yield rows
                return
            if suffix.endswith((".csv", ".csv.gz", ".csv.zip")):
                with _csv_rows(self.path) as rows:
                    yield rows
                return
        except FileNotFoundError as error:
            raise DataError(f"the file {without_secrets(self.path)!r} does not exist: correct source.path") from error
        raise DataError(
            f"the file {without_secrets(self.path)!r} is neither CSV nor Parquet; allowed endings: .csv, .csv.gz, "
            ".csv.zip, .parquet"
        )


@contextmanager
def _parquet_rows(path: str) -> Iterator[Rows]:
    """Yield the rows of a Parquet file or of a folder of such; one on this machine is read by DuckDB itself."""
    import fsspec
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from ml.base.sql import parquet_sql
    from ml.declaration.sources.rows import Rows

    fs, place = fsspec.core.url_to_fs(path)
    if "file" in fs.protocol and (sql := parquet_sql(Path(place))) and Path(place).is_file():
        yield Rows(_columns(pq.read_schema(place)), lambda columns: sql)
    elif fs.isdir(place):
        folder = ds.dataset(place, format="parquet", filesystem=fs, partitioning="hive")
        yield Rows(_columns(folder.schema), lambda columns: _streamed(folder, columns), again=False)
    else:
        with fs.open(place, "rb") as opened, pq.ParquetFile(opened) as file:
            yield Rows(_columns(file.schema_arrow), lambda columns: _batches(file, columns), again=False)


def _columns(schema: pa.Schema) -> pa.Schema:
    """Return a schema without the row numbers that pandas writes beside the columns of a frame."""
    import pyarrow as pa

    return pa.schema([field for field in schema if not re.fullmatch(r"__index_level_\d+__", field.name)])


def _streamed(folder: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    scanner = folder.scanner(columns=list(columns), batch_size=_BATCH, batch_readahead=2, fragment_readahead=1)
    return scanner.to_reader()


def _batches(file: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    import pyarrow as pa

    schema = pa.schema([file.schema_arrow.field(name) for name in columns])
    batches = (batch.select(list(columns)) for batch in file.iter_batches(_BATCH, columns=list(columns)))
    return pa.RecordBatchReader.from_batches(schema, batches)


@contextmanager
def _csv_rows(path: str) -> Iterator[Rows]:
    """Yield the rows of a CSV file as texts; only an empty cell is missing, and a row has as many cells as the header.

    Raises ArrowInvalid for a row that has not, and DataError for a quote that never ends.
    """
    import fsspec
    import pyarrow as pa
    from pyarrow import csv

    from ml.declaration.sources.rows import Rows

    with fsspec.open(path, "rb", compression="infer") as opened:
        end = _End(opened)
        reader = csv.open_csv(
            pa.PythonFile(end, mode="r"),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                default_column_type=pa.string(), null_values=[""], strings_can_be_null=True
            ),
        )
        names = [name or f"Unnamed: {position}" for position, name in enumerate(reader.schema.names)]
        schema = pa.schema([(name, pa.string()) for name in names])

        def batches(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
            last = None
            for batch in reader:
                if len(batch):
                    last = batch.column(len(names) - 1)[-1].as_py()
                yield batch.rename_columns(names).select(list(columns))
            if last and "\n" in last and not end.tail.rstrip().endswith(b'"'):
                raise DataError(
                    f"a quote begins a text that never ends; it holds {last.splitlines()[0]!r} and the rest of the "
                    "file. Close it, or double a quote that stands for itself"
                )

        def scan(columns: Sequence[str]) -> pa.RecordBatchReader:
            selected = pa.schema([schema.field(names.index(name)) for name in columns])
            return pa.RecordBatchReader.from_batches(selected, batches(columns))

        yield Rows(schema, scan, typed=False, again=False)


class _End:
    """A file that remembers its last bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.tail, self.closed = file, b"", False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._file.read(size)
        self.tail = content[-64:] or self.tail
        return content

    def close(self) -> None:
        """Leave the closing to who has opened the file."""
