"""A source that is a file, on this machine or anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
                with _csv_rows(self.path, suffix) as rows:
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
    import pyarrow.parquet as pq

    from ml.base.sql import parquet_sql
    from ml.declaration.sources.rows import Rows

    fs, place = fsspec.core.url_to_fs(path)
    sql = parquet_sql(Path(place)) if "file" in fs.protocol and Path(place).is_file() else None
    if sql and _are_told_apart(pq.read_schema(place).names):
        yield Rows(_columns(pq.read_schema(place)), lambda columns: sql)
    elif fs.isdir(place):
        yield _folder_rows(fs, place)
    else:
        with fs.open(place, "rb") as opened, pq.ParquetFile(opened) as file:
            yield Rows(_columns(file.schema_arrow), lambda columns: _batches(file, columns), again=False)


def _are_told_apart(names: Sequence[str]) -> bool:
    """Return whether DuckDB tells names apart; of Size beside size it makes Size_1, which may be another one's name."""
    return all(names) and len({name.lower() for name in names}) == len(names)


def _columns(schema: pa.Schema) -> pa.Schema:
    """Return a schema without the row numbers that pandas writes beside the columns of a frame."""
    import pyarrow as pa

    return pa.schema([field for field in schema if not re.fullmatch(r"__index_level_\d+__", field.name)])


def _folder_rows(fs: Any, place: str) -> Rows:
    """Return the rows of all Parquet files of a folder: their columns together, and those that folders are named by.

    The names of folders are texts, whose types only all of them together tell: a leading zero is part of a code.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    from ml.declaration.sources.rows import Rows

    files = ds.dataset(place, format="parquet", filesystem=fs, partitioning="hive")
    parts = list(files.get_fragments())
    named_by = list(dict.fromkeys(name for part in parts for name in ds.get_partition_keys(part.partition_expression)))
    schemas = [_columns(part.physical_schema) for part in parts]
    texts = pa.schema([(name, pa.string()) for name in named_by])
    schema = pa.unify_schemas([*schemas, texts], promote_options="permissive")
    partitioning = ds.partitioning(texts, flavor="hive")
    rows = ds.dataset(place, schema, format="parquet", filesystem=fs, partitioning=partitioning)
    return Rows(schema, lambda columns: _streamed(rows, columns), untyped=frozenset(named_by), again=False)


def _streamed(folder: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    scanner = folder.scanner(columns=list(columns), batch_size=_BATCH, batch_readahead=2, fragment_readahead=1)
    return scanner.to_reader()


def _batches(file: Any, columns: Sequence[str]) -> pa.RecordBatchReader:
    import pyarrow as pa

    schema = pa.schema([file.schema_arrow.field(name) for name in columns])
    batches = (batch.select(list(columns)) for batch in file.iter_batches(_BATCH, columns=list(columns)))
    return pa.RecordBatchReader.from_batches(schema, batches)


@contextmanager
def _csv_rows(path: str, suffix: str) -> Iterator[Rows]:
    """Yield the rows of a CSV file as texts; only an empty cell is missing, and a row has as many cells as the header.

    Raises ArrowInvalid for a row that has not, and DataError for wrong quotes.
    """
    import pyarrow as pa
    from pyarrow import csv

    from ml.declaration.sources.csv import BLOCK, opened
    from ml.declaration.sources.rows import Rows

    with opened(path, suffix) as content:
        reader = csv.open_csv(
            pa.PythonFile(content, mode="r"),
            read_options=csv.ReadOptions(block_size=BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                default_column_type=pa.string(), null_values=[""], strings_can_be_null=True
            ),
        )
        names = [name or f"Unnamed: {position}" for position, name in enumerate(reader.schema.names)]
        schema = pa.schema([(name, pa.string()) for name in names])

        def scan(columns: Sequence[str]) -> pa.RecordBatchReader:
            selected = pa.schema([schema.field(names.index(name)) for name in columns])
            batches = (batch.rename_columns(names).select(list(columns)) for batch in reader)
            return pa.RecordBatchReader.from_batches(selected, batches)

        yield Rows(schema, scan, untyped=frozenset(names), again=False)
