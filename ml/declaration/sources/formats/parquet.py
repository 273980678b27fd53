"""Parquet: columns of their own types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.base.sql import DataError, parquet_sql
from ml.declaration.sources.formats.places import Place
from ml.declaration.sources.formats.several import several_rows
from ml.declaration.sources.rows import Rows

if TYPE_CHECKING:
    from ml.declaration.sources.options import FileOptions

_BATCH = 65_536  # rows of a batch


@contextmanager
def parquet_rows(places: Sequence[Place], options: FileOptions) -> Iterator[Rows]:
    """Yield the rows of Parquet files; one on this machine is read by DuckDB itself."""
    first = places[0]
    is_plain = len(places) == 1 and first.is_local and not first.partition
    if is_plain and (sql := parquet_sql(Path(first.path))) and _are_told_apart(_read_schema(first).names):
        yield Rows(_schema(first, options), lambda columns: sql)
        return
    with several_rows(
        places, (_schema(place, options) for place in places), _batches, options.selected, typed=True
    ) as rows:
        yield rows


def _are_told_apart(names: Sequence[str]) -> bool:
    """Return whether DuckDB tells names apart; of Size beside size it makes Size_1, which may be another one's name."""
    return all(names) and len({name.lower() for name in names}) == len(names)


def _read_schema(place: Place) -> pa.Schema:
    import pyarrow.parquet as pq

    with place.open(packed=False) as opened:
        try:
            return pq.read_schema(opened)
        except pa.ArrowInvalid as error:
            raise DataError(f"the file {place.shown!r} cannot be read: {error}; correct it or its source") from error


def _schema(place: Place, options: FileOptions) -> pa.Schema:
    """Return the columns of a file without the row numbers that pandas writes beside those of a frame."""
    schema = _read_schema(place)
    fields = [field for field in schema if not re.fullmatch(r"__index_level_\d+__", field.name)]
    names = options.chosen([field.name for field in fields], repr(place.shown), place.partition)
    if options.selected is None:
        return pa.schema(fields)
    return pa.schema([schema.field(name) for name in names])


def _batches(place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with place.open(packed=False) as opened, pq.ParquetFile(opened) as file:
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            yield batch.select(list(columns))  # of a name with a dot more columns come
