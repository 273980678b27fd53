"""Inputs: the rows of files as records of the service, a part of a file at a time, with the keys that name them."""

import gzip
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import msgspec
import pyarrow as pa

from dagster_project.scoring.files import STDIN
from ml.base.files import scratch_folder
from ml.base.sql import DataError, connection, quoted
from ml.declaration.sources.file import FileSource
from ml.declaration.sources.options import FileOptions, format_of
from ml.declaration.sources.rows import Rows
from ml.declaration.sources.spelling import Spelling
from ml.tables.columns import Column, read_column, select_sql
from ml.tables.types import is_text
from service.frames.columns import ColumnsError, Matched, match, records_of
from service.plan.document import Plan
from service.plan.parts import ColumnType

JSON = re.compile(r"\.(json|jsonl|ndjson)(\.(gz|zip|bz2|xz))?$", re.IGNORECASE)
BOM = b"\xef\xbb\xbf"
EXACT = 2**53  # beyond, a double is not every whole number
MEMORY = "256MB"  # of DuckDB, which reads in parts
PIECE = 20_480  # rows that DuckDB hands over at once

Keys: TypeAlias = Mapping[str, pa.Array]
Tell: TypeAlias = Callable[[str], None]  # called with what a user should know of a file, once

_LOGICAL: Mapping[ColumnType, str] = {"text": "category", "number": "number", "flag": "boolean", "time": "time"}


class InputError(ValueError):
    """A file that cannot be read as rows to score; the message names it, and says what to do."""


@dataclass(frozen=True)
class Part:
    """Some rows of a file that follow each other: their records, and the columns of their key that the file has."""

    records: list[Any]
    keys: Keys


@dataclass(frozen=True)
class Wanted:
    """The demand on a file: the columns of the plan's records and those of keys, at most `rows` at a time.

    `fixed` are values that rows have where the file has no such column. `tell` is called with what a user should know.
    `options` say how files of their format are written, as those of training are.
    """

    plan: Plan
    keys: Sequence[str]
    rows: int
    tell: Tell
    fixed: Mapping[str, Any] = field(default_factory=dict)
    options: FileOptions | None = None

    def source(self, file: str) -> FileSource:
        """Return a file as a source: written as those of training where it is of their format."""
        options = self.options
        if options is None or format_of(file) != (options.format or options.told):
            return FileSource(path=file)
        named = set() if options.header is False else {"columns"}  # which may name the target too
        said = options.model_dump(exclude_unset=True, exclude={*options.keys, *named})
        return FileSource.model_validate({**said, "path": file})

    def match(self, names: Sequence[str], tell: bool = True) -> Matched:
        """Return how columns match a record's, and tell of those that are not there, and those that are left out."""
        fixed = [name for name in self.fixed if name not in names]
        matched = match([*names, *fixed], self.plan)
        if tell and matched.absent:
            self.tell(f"without {', '.join(matched.absent)}, which count as missing in every row")
        if tell and (beyond := [name for name in matched.beyond if name not in self.keys]):
            self.tell(f"left out: {', '.join(beyond)}, which the model does not use")
        return Matched([name for name in matched.used if name not in fixed], matched.absent, matched.beyond)

    def record(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record with the fixed values that it lacks, and no column beyond those of records."""
        return {**self.fixed, **{name: value for name, value in values.items() if name in self.plan.record}}


def parts(file: str, wanted: Wanted) -> Iterator[Part]:
    """Yield the rows of a CSV, Parquet or JSON file, `-` for the standard input, in parts.

    Raises InputError for a file that cannot be read, or has other columns than the model takes.
    """
    try:
        if file == STDIN:
            yield from _of_stdin(wanted)
        elif JSON.search(file):
            import fsspec

            with fsspec.open(file, "rb", compression="infer") as opened:
                yield from _of_json(opened, wanted)
        else:
            yield from _of_table(file, wanted)
    except Exception as error:  # the driver of a file system or of a compression may raise anything
        name = "the standard input" if file == STDIN else file
        raise InputError(f"{name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, IsADirectoryError):
        return "it is a folder; name its files"
    if isinstance(error, FileNotFoundError):
        return "it does not exist; name another one"
    explained = isinstance(error, ColumnsError | InputError | DataError)
    reason = str(error).replace("correct source.path", "name another one").strip()
    return reason if explained else f"it cannot be read: {type(error).__name__}: {reason}"


def _of_stdin(wanted: Wanted) -> Iterator[Part]:
    """Yield the rows of the standard input: JSON or Parquet where it begins so, else CSV; it may be packed by gzip.

    A table is kept in a file beside.
    """
    stream = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    if stream.peek(2)[:2] == b"\x1f\x8b":
        stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)))
    begin = stream.peek(64)
    if begin.removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
        yield from _of_json(stream, wanted)
        return
    with scratch_folder() as folder:
        file = folder / f"standard input.{'parquet' if begin[:4] == b'PAR1' else 'csv'}"
        with open(file, "wb") as beside:
            while piece := stream.read(1 << 20):
                beside.write(piece)
        try:
            yield from _of_table(str(file), wanted)
        except DataError as error:
            raise InputError(str(error).replace(f"the file {str(file)!r}", "it")) from error


def _of_table(file: str, wanted: Wanted) -> Iterator[Part]:
    """Yield the rows of a CSV or Parquet file, read as the door of training reads them."""
    if Path(file).is_dir():
        raise IsADirectoryError(file)
    source = wanted.source(file)
    with source.rows() as rows:
        present = [name for name in wanted.keys if name in rows.schema.names]
        plan, used = wanted.plan, wanted.match(rows.schema.names).used
        columns = {name: _column(rows, name, plan.record[name], source.spelling(name)) for name in used}
        with _query(rows, columns, present) as reader:
            empty = pa.schema([pa.field(name, rows.schema.field(name).type) for name in present]).empty_table()
            yield Part([], {name: empty[name].combine_chunks() for name in present})  # a file without rows has keys too
            for batch in reader:
                for table in (batch.slice(at, wanted.rows) for at in range(0, batch.num_rows, wanted.rows)):
                    records = _records(table, columns, plan)
                    yield Part([{**wanted.fixed, **record} for record in records], _keys(table, present))


def _column(source: Rows, name: str, kind: ColumnType, spelling: Spelling) -> Column:
    """Return how a column of a file is read as what a record has by its name."""
    column = source.schema.field(name)
    whole = kind == "number" and pa.types.is_integer(column.type)
    return read_column("it", column, None if whole else _LOGICAL[kind], spelling)


@contextmanager
def _query(source: Rows, columns: Mapping[str, Column], keys: Sequence[str]) -> Iterator[Iterable[pa.RecordBatch]]:
    """Yield the rows of a file: the columns of records by their places, what stands in their place, and the keys."""
    wanted = list(dict.fromkeys([*columns, *keys]))
    with connection(threads=1, memory=MEMORY) as opened:
        relation = source.scan(wanted)
        if not isinstance(relation, str):
            opened.register("source", relation)
            relation = "source"
        selected = list[Column]()
        for place, (name, column) in enumerate(columns.items()):
            selected.append(Column(f"value {place}", column.value))
            selected += [Column(f"{other} {place}", sql) for other, sql in _instead(source, name, column).items()]
        selected += [Column(f"key {place}", quoted(name)) for place, name in enumerate(keys)]
        reader: Iterable[pa.RecordBatch] = opened.sql(select_sql(selected, relation)).to_arrow_reader(PIECE)
        yield reader


def _instead(source: Rows, name: str, column: Column) -> dict[str, str]:
    """Return SQL of what stands in place of a column's values: a wrong one as it is, which the service then refuses.

    A text of a whole number may also have more digits than a double.
    """
    raw = f"cast({quoted(name)} as varchar)"
    instead = {"wrong": f"case when {column.wrong} then {raw} end"} if column.wrong else {}
    if is_text(source.schema.field(name).type):
        exact = f"try_cast(trim({raw}) as bigint)"
        instead["exact"] = f"case when abs({exact}) >= {EXACT} then {exact} end"
    return instead


def _records(table: pa.RecordBatch, columns: Mapping[str, Column], plan: Plan) -> list[dict[str, Any]]:
    """Return the records of some rows."""
    if not columns:
        return [{} for _ in range(table.num_rows)]
    arrays = [table.column(f"value {place}") for place in range(len(columns))]
    records = records_of(pa.table(arrays, list(columns)), plan)
    for place, name in enumerate(columns):
        for other in ("exact", "wrong") if plan.record[name] == "number" else ("wrong",):
            if f"{other} {place}" in table.schema.names:
                _replace(records, name, table.column(f"{other} {place}"))
    return records


def _replace(records: list[dict[str, Any]], name: str, values: pa.Array) -> None:
    """Put values in place of those of some records, where there are any."""
    if values.null_count < len(values):
        for record, value in zip(records, values.to_pylist(), strict=True):
            if value is not None:
                record[name] = value


def _keys(table: pa.RecordBatch, names: Sequence[str]) -> Keys:
    return {name: table.column(f"key {place}") for place, name in enumerate(names)}


def _of_json(file: BinaryIO, wanted: Wanted) -> Iterator[Part]:
    """Yield the records of JSON: one in each line, or all of them in one array, which is read whole."""
    values = _lines(file)
    seen, present = set[frozenset[str]](), set[str]()
    start = 1
    while some := list(islice(values, wanted.rows)):
        for number, record in enumerate(some, start):
            if not isinstance(record, dict):
                raise InputError(f"row {number} is {json.dumps(record)[:80]}, and no object")
            if (names := frozenset(record)) not in seen:
                seen.add(names)
                wanted.match(list(record), tell=len(seen) == 1)
        present |= {name for name in wanted.keys if any(name in record for record in some)}
        keys = {name: _array([record.get(name) for record in some], name) for name in wanted.keys if name in present}
        yield Part([wanted.record(record) for record in some], keys)
        start += len(some)


def _lines(file: BinaryIO) -> Iterator[Any]:
    """Yield the values of lines of JSON, the elements of an array, or one object over several lines."""
    is_first = True
    for number, line in enumerate(file, 1):
        if not (text := (line.removeprefix(BOM) if number == 1 else line).strip()):
            continue
        if is_first and text.startswith(b"["):
            yield from _decoded(text + file.read(), "the array")
            return
        if is_first and text == b"{":
            yield _decoded(text + file.read(), "the object")
            return
        is_first = False
        yield _decoded(text, f"line {number}")


def _decoded(text: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(
            f"{where} is not JSON: {error}. Write an object in each line, or one array of objects"
        ) from error


def _array(values: list[Any], name: str) -> pa.Array:
    try:
        array = pa.array(values)
        return array.cast(pa.string()) if pa.types.is_null(array.type) else array
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the key {name!r} cannot be read: {str(error).splitlines()[0]}") from error
