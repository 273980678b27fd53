"""Formats: tables as bytes of Arrow, Parquet and CSV, read within bounds and written."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from service.frames.arrays import TableRows, check_schema, text_bytes
from service.frames.columns import ColumnsError
from service.frames.messages import declared
from service.frames.pages import DICTIONARIES, read_footer, read_pages
from service.frames.separated import CsvRows
from service.plan.document import Plan
from service.predict.rows import Rows
from service.records.deadline import OutOfTimeError, check_time

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
ALIASES = {"application/x-parquet": PARQUET, "application/parquet": PARQUET}  # SageMaker's, and one often seen
MAGIC = b"ARROW1"


class FormatError(ValueError):
    """A body that cannot be read as a table."""


class TooLargeError(ValueError):
    """A table of more rows than one request may have, or of more bytes once it is unpacked."""


class Bounds:
    """The most that is read of a body: rows, bytes once they are unpacked, and until when."""

    def __init__(self, rows: int, unpacked_bytes: int, deadline: float | None = None) -> None:
        self.rows, self.unpacked_bytes, self.deadline = rows, unpacked_bytes, deadline
        self._rows = self._bytes = 0

    def take(self, rows: int, unpacked_bytes: int = 0) -> None:
        """Count what is declared; raises TooLargeError beyond the bounds, and OutOfTimeError."""
        check_time(self.deadline)
        self._rows, self._bytes = self._rows + rows, self._bytes + unpacked_bytes
        if self._rows > self.rows:
            raise TooLargeError(f"there are more than {self.rows} rows; send fewer at a time")
        if self._bytes > self.unpacked_bytes:
            raise TooLargeError(f"the body unpacks to more than {self.unpacked_bytes} bytes; send fewer at a time")


def read_rows(kind: str, body: bytes | bytearray, plan: Plan, bounds: Bounds) -> Rows:
    """Return the rows of a body of one of the media types above.

    Raises FormatError, TooLargeError, ColumnsError where its columns are not those of a record, and OutOfTimeError.
    """
    import pyarrow as pa

    try:
        return READERS[kind](memoryview(body), plan, bounds)
    except (ColumnsError, TooLargeError, OutOfTimeError):
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, MemoryError) as error:
        lines = str(error).splitlines() or ["it is malformed"]
        raise FormatError(f"the body cannot be read as {kind}: {lines[0][:300]}") from None


def _table_rows(table: Any, plan: Plan, bounds: Bounds) -> Rows:
    table.validate(full=True)  # what a stream says of itself is believed otherwise
    bounds.take(0, sum(map(text_bytes, table.columns)))
    return TableRows(table, plan)


def _read_stream(body: memoryview, plan: Plan, bounds: Bounds) -> Rows:
    import pyarrow as pa
    from pyarrow import ipc

    content = pa.py_buffer(body)
    for message in ipc.MessageReader.open_stream(content):
        bounds.take(*declared(message))
    with ipc.open_stream(content, options=ipc.IpcReadOptions(use_threads=False)) as reader:
        check_schema(reader.schema, plan)
        return _table_rows(reader.read_all(), plan, bounds)


def _read_file(body: memoryview, plan: Plan, bounds: Bounds) -> Rows:
    """Read the stream that a file holds, as its format has it, between two magic words."""
    if bytes(body[: len(MAGIC)]) != MAGIC or bytes(body[-len(MAGIC) :]) != MAGIC:
        raise ValueError(f"it does not begin and end with {MAGIC.decode()}")
    return _read_stream(body[8:], plan, bounds)


def _read_parquet(body: memoryview, plan: Plan, bounds: Bounds) -> Rows:
    import pyarrow as pa
    from pyarrow import parquet

    content, footer = pa.py_buffer(body), read_footer(body)
    for rows in footer.rows:
        bounds.take(rows)
    encodings: dict[str, set[int | None]] = {}
    for chunk in footer.chunks:
        of_column = encodings.setdefault(".".join(chunk.path), set())
        for page in read_pages(body, chunk):
            bounds.take(0, page.unpacked)
            of_column.add(page.encoding)
    # so that a text that many rows share is there once
    texts = [name for name, used in encodings.items() if used & {*DICTIONARIES} and plan.columns.get(name) == "text"]
    with parquet.ParquetFile(pa.BufferReader(content), read_dictionary=texts) as file:
        check_schema(file.schema_arrow, plan)
        return _table_rows(file.read(use_threads=False), plan, bounds)


def _read_csv(body: memoryview, plan: Plan, bounds: Bounds) -> Rows:
    return CsvRows(body, plan, bounds.take)


READERS: dict[str, Callable[[memoryview, Plan, Bounds], Rows]] = {
    STREAM: _read_stream,
    FILE: _read_file,
    PARQUET: _read_parquet,
    CSV: _read_csv,
}


def write_table(kind: str, table: Any) -> bytes:
    """Return a table as the bytes of a media type; in CSV a list becomes one text, its entries joined by `; `."""
    sink = BytesIO()
    WRITERS[kind](table, sink)
    return sink.getvalue()


def _write_stream(table: Any, sink: BytesIO) -> None:
    from pyarrow import ipc

    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _write_file(table: Any, sink: BytesIO) -> None:
    from pyarrow import ipc

    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _write_parquet(table: Any, sink: BytesIO) -> None:
    from pyarrow import parquet

    parquet.write_table(table, sink, compression="zstd")


def _write_csv(table: Any, sink: BytesIO) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    for position, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            table = table.set_column(position, field.name, pc.binary_join(table.column(position), "; "))
    csv.write_csv(table, sink, csv.WriteOptions(quoting_style="needed"))


WRITERS: dict[str, Callable[[Any, BytesIO], None]] = {
    STREAM: _write_stream,
    FILE: _write_file,
    PARQUET: _write_parquet,
    CSV: _write_csv,
}
