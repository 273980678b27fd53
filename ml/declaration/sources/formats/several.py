"""Several files as one table: their columns must be the same, and the names of their folders are columns too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa

from ml.base.sql import DataError
from ml.declaration.sources.formats.places import Place
from ml.declaration.sources.rows import Rows

Batches = Callable[[Place, Sequence[str]], Iterable[pa.RecordBatch]]


@contextmanager
def several_rows(
    places: Sequence[Place],
    schemas: Iterable[pa.Schema],
    batches: Batches,
    selected: list[str] | None,
    *,
    typed: bool,
    refused: Mapping[str, str] | None = None,
) -> Iterator[Rows]:
    """Yield the rows of files, one file after the other; `batches` reads some columns of one of them. Those that
    are `refused` are not read.

    Of the folders' names only those are columns that are `selected`, all if that is None. Raises DataError where two
    files have not the same columns, or those have types that cannot be one.
    """
    schema = pa.schema([field for field in _common(places, list(schemas)) if field.name not in (refused or {})])
    partition = [name for name in places[0].partition if selected is None or name in selected]
    whole = pa.schema([*schema, *((name, pa.string()) for name in partition)])
    failure: list[Exception] = []

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = [name for name in columns if name not in partition]
        selected = pa.schema([whole.field(name) for name in columns])
        try:
            for place in places:
                for batch in batches(place, wanted):
                    yield _whole(place, batch, selected)
        except Exception as error:
            failure.append(error)
            raise

    def scan(columns: Sequence[str]) -> pa.RecordBatchReader:
        selected = pa.schema([whole.field(name) for name in columns])
        return pa.RecordBatchReader.from_batches(selected, read(columns))

    try:
        yield Rows(whole, scan, typed, again=False, spelled=frozenset(partition), refused=refused or {})
    except Exception as error:
        if failure and error is not failure[0]:  # DuckDB knows only the text of an error in what it reads
            raise failure[0] from None
        raise


def _common(places: Sequence[Place], schemas: list[pa.Schema]) -> pa.Schema:
    """Return the schema of all files, by the order of the first one's columns."""
    first = schemas[0]
    for place, schema in zip(places, schemas, strict=True):
        if sorted(schema.names) != sorted(first.names):
            lacking, more = sorted(set(first.names) - set(schema.names)), sorted(set(schema.names) - set(first.names))
            raise DataError(
                f"{place.shown!r} has not the columns of {places[0].shown!r}: it lacks {lacking} and has {more} "
                "beside; give all files the same columns, or name in source.columns those that all have"
            )
    if shared := sorted(set(first.names) & set(places[0].partition)):
        raise DataError(f"{shared} are columns of the files and names of their folders; rename one of them")
    if len(schemas) == 1:
        return first
    repeated = [name for name in first.names if first.names.count(name) > 1]
    return pa.schema(
        field
        if field.name in repeated
        else _widest(field.name, places, [schema.field(field.name) for schema in schemas])
        for field in first
    )


def _widest(name: str, places: Sequence[Place], fields: list[pa.Field]) -> pa.Field:
    plain = [_without_dictionary(field) for field in fields]
    other = next((at for at, field in enumerate(plain) if not field.type.equals(plain[0].type)), None)
    if other is None:
        return plain[0]
    try:
        return pa.unify_schemas([pa.schema([one]) for one in plain], promote_options="permissive").field(0)
    except pa.ArrowException as error:
        raise DataError(
            f"column {name!r} is {plain[other].type} in {places[other].shown!r} and {plain[0].type} in "
            f"{places[0].shown!r}; give it one type in all files"
        ) from error


def _without_dictionary(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _whole(place: Place, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of a schema, in its types, those of the folders' names among them."""
    arrays = []
    for field in schema:
        if field.name in place.partition:
            arrays.append(pa.array([place.partition[field.name]], pa.string()).take(pa.array([0] * len(batch))))
        else:
            values = batch.column(field.name)
            arrays.append(values if values.type.equals(field.type) else values.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
