"""Tables: a bundle's Parquet files as sorted keys, times and matrices; PyArrow is needed for nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.document import BundleError
from service.plan.parts import ColumnType, Lookup, RowLookup, StaticLookup, WindowLookup
from service.records.reader import SECOND_US


def read_rows(path: Path, lookup: RowLookup, columns: Sequence[str]) -> Any:
    """Read the file's rows, reduced to the keys, the times and `columns`."""
    return read_columns(path, [*lookup.keys, *times_of(lookup), *columns])


def times_of(lookup: RowLookup) -> list[str]:
    """List the columns by which rows of one key are in order: when one became known, and when it happened."""
    if isinstance(lookup, StaticLookup):
        return []
    return [lookup.time, *([lookup.happened] if isinstance(lookup.happened, str) else [])]


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """Read some columns of a file, which may be named twice."""
    import pyarrow.parquet as pq

    wanted = list(dict.fromkeys(columns))
    if absent := sorted(set(wanted) - set(pq.read_schema(path).names)):
        raise BundleError(path.name, [f"it has no columns {absent}"])
    with pq.ParquetFile(path) as file:
        return _without_dictionaries(file.read(columns=wanted))


def _without_dictionaries(rows: Any) -> Any:
    """Return the same rows, of columns that can be sorted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(index, field.name, pc.cast(rows[field.name], field.type.value_type))
    return rows


def check_types(
    rows: Any,
    lookup: Lookup,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    record: Mapping[str, ColumnType],
) -> None:
    """Raise BundleError unless every column has the type that its use needs."""
    kinds = {field.name: kind_of(field.type) for field in rows.schema}
    wrong = [(c, "numeric") for c in numeric if kinds[c] not in NUMERIC]
    wrong += [(c, "categorical") for c in categorical if kinds[c] not in TEXT]
    problems = [f"column {column!r} is a {kinds[column]}, and feeds a {fed} input" for column, fed in wrong]
    for on, key in zip(lookup.on, lookup.keys, strict=True):
        if record[on] != kinds[key]:
            problems.append(f"key {key!r} is a {kinds[key]}, and the record's {on!r} a {record[on]}")
    times = [lookup.time] if isinstance(lookup, WindowLookup) else times_of(lookup)
    problems += [f"column {time!r} is a {kinds[time]}, not a time" for time in times if kinds[time] != "time"]
    if problems:
        raise BundleError(lookup.file, sorted(problems))


NUMERIC = {"number", "flag", "column of nulls"}
TEXT = {"text", "column of nulls"}


def kind_of(arrow_type: Any) -> str:
    """Return the plan's name for a type of Arrow, or words that are no type of the plan."""
    from pyarrow import types

    if types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        return "text"
    if types.is_boolean(arrow_type):
        return "flag"
    if types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "number"
    if types.is_date(arrow_type) or (types.is_timestamp(arrow_type) and arrow_type.tz is None):
        return "time"
    return "column of nulls" if types.is_null(arrow_type) else "column of no known type"


def sort_by_key(rows: Any, lookup: RowLookup) -> Any:
    """Return the rows whose key and times are known, sorted by key, then times; the file's order breaks ties."""
    return sort_rows(rows, [*lookup.keys, *times_of(lookup)])


def sort_rows(rows: Any, columns: Sequence[str]) -> Any:
    """Return the rows that have a value in all of `columns`, sorted by them; texts as their UTF-8 bytes."""
    import pyarrow.compute as pc

    rows = rows.filter(_complete(rows, columns))
    return rows.take(pc.sort_indices(rows, sort_keys=[(column, "ascending") for column in columns]))


def _complete(rows: Any, columns: Sequence[str]) -> Any:
    """Return a mask of the rows that have a value in all of `columns`."""
    import pyarrow.compute as pc

    mask = pc.is_valid(rows[columns[0]])
    for column in columns[1:]:
        mask = pc.and_(mask, pc.is_valid(rows[column]))
    return mask


def key_values(rows: Any, lookup: RowLookup) -> list[Any]:
    """Return the key of each row: a value, or a tuple where the lookup has several keys; times in microseconds."""
    parts = [values_of(rows[column]) for column in lookup.keys]
    return parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))


def values_of(column: Any) -> list[Any]:
    """Return the values of a column; times, which then have none missing, in microseconds."""
    if kind_of(column.type) == "time":
        return list(microseconds(column).tolist())
    values: list[Any] = column.to_pylist()
    return values


def spans_of(keys: Sequence[Any]) -> dict[Any, tuple[int, int]]:
    """Return for each key the half-open range of its rows; `keys` is sorted."""
    spans: dict[Any, tuple[int, int]] = {}
    start = 0
    for row in range(1, len(keys) + 1):
        if row == len(keys) or keys[row] != keys[start]:
            spans[keys[start]] = (start, row)
            start = row
    return spans


def microseconds(column: Any) -> NDArray[np.int64]:
    """Return times as microseconds since 1970; nanoseconds round up: no row counts as known before it was."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("us"))
    per_unit = {"s": SECOND_US, "ms": 1_000, "us": 1}.get(column.type.unit)
    values: NDArray[np.int64] = pc.cast(column, pa.int64()).to_numpy()
    return np.ascontiguousarray(-(-values // 1_000) if per_unit is None else values * per_unit, dtype=np.int64)


def numeric_matrix(rows: Any, columns: Sequence[str]) -> NDArray[np.float32]:
    """Return columns as float32 [rows + 1, columns]; by way of float64, as the features of training are made.

    The last row, here and below, is what a record without a row gets: nothing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    matrix = np.full((rows.num_rows + 1, len(columns)), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold counts as missing, as in training
        for index, name in enumerate(columns):
            column = rows[name]
            if pa.types.is_boolean(column.type):
                column = pc.cast(column, pa.int8())
            matrix[:-1, index] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def categorical_matrix(rows: Any, columns: Sequence[str]) -> NDArray[np.object_]:
    """Return columns as texts [rows + 1, columns], missing ""."""
    matrix = np.full((rows.num_rows + 1, len(columns)), "", dtype=object)
    for index, name in enumerate(columns):
        matrix[:-1, index] = ["" if value is None else value for value in rows[name].to_pylist()]
    return matrix
