"""Output: answers as a Parquet or CSV file that is there whole or not at all, or as CSV on the standard output."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.files import open_whole, remove_unfinished

STDOUT = "-"
ENDINGS = (".parquet", ".csv")


class OutputError(ValueError):
    """A place where answers cannot be written; the message says what to do."""


class Writer(Protocol):
    """Takes tables of one schema, one after the other."""

    def write(self, table: pa.Table) -> None:
        """Write some rows."""


def check_place(out: str, inputs: tuple[str, ...], replace: bool) -> None:
    """Raise OutputError where answers cannot be written to `out`, before anything is computed."""
    if out == STDOUT:
        return
    path = Path(out)
    if path.is_dir():
        raise OutputError(f"{out} is a folder; name a file in it")
    if not out.endswith(ENDINGS):
        raise OutputError(f"{out} ends otherwise than {' or '.join(ENDINGS)}, by which its format is chosen")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of {out} does not exist; make it first")
    if any(Path(file).exists() and path.exists() and path.samefile(file) for file in inputs):
        raise OutputError(f"{out} is a file to be scored; name another one")
    if path.exists() and not replace:
        raise OutputError(f"{out} exists; name another file, or add --replace")


@contextmanager
def writing(out: str, metadata: Mapping[str, str]) -> Iterator[Writer]:
    """Yield a writer; once the block has ended well, and not before, the file is there, with its metadata.

    A CSV file has no place for metadata.
    """
    if out == STDOUT:
        yield _Csv(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    remove_unfinished(Path(out).parent, deep=False)
    try:
        with open_whole(Path(out)) as file:
            writer = _Csv(file) if out.endswith(".csv") else _Parquet(file, metadata)
            try:
                yield writer
            finally:
                writer.close()
    except OSError as error:
        if error.filename is not None and str(error.filename).startswith(out):
            raise OutputError(f"{out} cannot be written: {error.strerror}") from error
        raise


class _Parquet:
    def __init__(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        self._file, self._metadata = file, metadata
        self._writer: Any = None
        self._schema = pa.schema([])

    def write(self, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        if self._writer is None:
            self._schema = table.schema.with_metadata(self._metadata)
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begun = file, False

    def write(self, table: pa.Table) -> None:
        from pyarrow import csv

        for position, field in enumerate(table.schema):
            if pa.types.is_list(field.type):
                joined = pc.binary_join(table.column(position), "; ")
                table = table.set_column(position, field.name, joined)
        csv.write_csv(table, self._file, csv.WriteOptions(include_header=not self._begun, quoting_style="needed"))
        self._begun = True

    def close(self) -> None:
        """Leave the closing to who has opened the file."""
