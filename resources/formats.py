"""Values as bytes: tables as Parquet, Pydantic models as JSON, anything else as a pickle, each under a stable kind."""

import io
import json
from collections.abc import Collection
from shutil import copyfileobj
from typing import Any, BinaryIO, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from ml.base.hashing import hash_bytes, hash_table
from ml.base.table_file import BATCH, TableFile
from resources.kinds import class_of, dumps, kind_of, loads, stable_name

Content: TypeAlias = "pa.Table | TableFile | bytes"

TABLES = ("frame", "table")
ROW_GROUP = BATCH  # rows that a reader which streams holds at once: of 150 columns of numbers 160 MB
DICTIONARY = 65_536  # bytes of distinct values beyond which a column is plain: with pyarrow's 1 MB, files are larger


def plain(value: Any) -> tuple[str, str, Content]:
    """Return the kind of a value, the ending of its file, and its content: a table, or bytes."""
    if isinstance(value, pd.DataFrame):
        return "frame", ".parquet", pa.Table.from_pandas(value, preserve_index=False)
    if isinstance(value, pa.Table | TableFile):
        return "table", ".parquet", value
    if isinstance(value, bytes):
        return "bytes", ".bin", value
    if isinstance(value, BaseModel):
        return kind_of(value), ".json", json.dumps(value.model_dump(mode="json"), indent=1, sort_keys=True).encode()
    return stable_name(type(value)) or "pickle", ".pickle", dumps(value)


def hash_of(content: Content) -> str:
    """Return the hash that names a content."""
    return hash_bytes(content) if isinstance(content, bytes) else hash_table(content)


def write(content: Content, file: BinaryIO) -> None:
    """Write a content to a file; a table in a file that is taken whole is copied."""
    if isinstance(content, bytes):
        file.write(content)
    elif isinstance(content, pa.Table):
        with _writer(content.schema, file) as writer:
            writer.write_table(content, ROW_GROUP)
    elif content.is_whole:
        with open(content.path, "rb") as source:
            copyfileobj(source, file, 1 << 20)
    else:
        with _writer(content.schema, file) as writer:
            for batch in content.batches(content.column_names):
                writer.write_batch(batch, ROW_GROUP)


def _writer(schema: pa.Schema, file: BinaryIO) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd", dictionary_pagesize_limit=DICTIONARY)


def decode(kind: str, content: bytes) -> Any:
    """Return the value of a file that holds no table."""
    if kind == "bytes":
        return content
    stored = None if kind == "pickle" else class_of(kind)
    return stored.model_validate_json(content) if stored and issubclass(stored, BaseModel) else loads(content)


def decode_table(content: bytes | pa.Buffer, columns: Collection[str] | None = None) -> pa.Table:
    """Return the table of a Parquet file, of its columns those that are named; all of them without `columns`."""
    file = pq.ParquetFile(pa.BufferReader(content))
    return file.read(None if columns is None else [name for name in file.schema_arrow.names if name in columns])


def join(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of several tables, one after the other, with the columns of the first.

    Equal values can lie in a file in another order of columns or with finer times: their hash is the same.
    """
    first, *rest = tables
    return pa.concat_tables([first, *(table.select(first.column_names).cast(first.schema) for table in rest)])


def rows_that_stay(table: pa.Table | TableFile, files: list[TableFile], earlier: str) -> list[int]:
    """Return the number of rows of each of an earlier table's files that can stay, now that `table` has more.

    `earlier` is the earlier table's hash. None can stay unless `table` has the same columns and starts with every row.
    A file stays while it has more than twice the rows that come after those of it: n rows then lie in at most
    log2(n) + 1 files, and no row is often rewritten.
    """
    rows = [file.num_rows for file in files]
    same = _as_stored(table.schema).equals(files[0].schema, check_metadata=True)
    if not same or hash_table(table.slice(0, sum(rows))) != earlier:
        return []
    if table.num_rows == sum(rows):
        return rows
    while rows and rows[-1] <= 2 * (table.num_rows - sum(rows)):
        rows.pop()
    return rows


def _as_stored(schema: pa.Schema) -> pa.Schema:
    """Return a schema as it comes back from Parquet, which has no times in seconds."""
    file = io.BytesIO()
    write(schema.empty_table(), file)
    return pq.read_schema(file)
