"""The rows of a source in Arrow's types, before anything is made of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.sql import DataError
from ml.base.text import shortened

if TYPE_CHECKING:
    import pandas as pd


_BATCH = 65_536  # rows of a batch


@dataclass(frozen=True)
class Rows:
    """The rows of a source: their columns, and what reads some of these.

    `scan` returns what DuckDB reads: SQL of a table function, or an object of Arrow's. `typed` is False where all
    columns are texts whose types only their values can tell, as in a CSV file. `again`: they may be read many times.
    `spelled` are such columns among others. `refused` are columns that Arrow cannot hold, and why.
    """

    schema: pa.Schema
    scan: Callable[[Sequence[str]], Any]
    typed: bool = True
    again: bool = True
    spelled: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)


def table_rows(source: str, table: object) -> Rows:
    """Return the rows of a DataFrame, or of a table of another library. Raises DataError for anything else."""
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return frame_rows(table)
    if hasattr(table, "__arrow_c_stream__"):
        return arrow_rows(pa.table(table))
    raise DataError(
        f"{source} returned {type(table).__name__}; it must return a pandas DataFrame, or a table that speaks Arrow's "
        "stream interface, such as one of polars or Arrow"
    )


def arrow_rows(table: pa.Table, refused: Mapping[str, str] | None = None) -> Rows:
    """Return the rows of a table in memory."""
    return Rows(table.schema, table.select, refused=refused or {})


def streamed_rows(dataset: Any, columns: Sequence[str]) -> Rows:
    """Return the rows of a dataset of Arrow, of which little is in memory at a time."""

    def scan(names: Sequence[str]) -> pa.RecordBatchReader:
        scanner = dataset.scanner(columns=list(names), batch_size=_BATCH, batch_readahead=2, fragment_readahead=1)
        return scanner.to_reader()

    return Rows(pa.schema([dataset.schema.field(name) for name in columns]), scan, again=False)


def frame_rows(frame: "pd.DataFrame") -> Rows:
    """Return the rows of a DataFrame, with what its index has a name for; of a column of several types the reason."""
    import pandas as pd

    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if named:
        frame = frame.reset_index(named)
    series = (frame.iloc[:, place] for place in range(frame.shape[1]))
    dense = (one.astype(one.dtype.subtype) if isinstance(one.dtype, pd.SparseDtype) else one for one in series)
    return _held(map(str, frame.columns), dense, from_pandas=True)


def values_rows(names: Sequence[str], values: Sequence[Sequence[Any]]) -> Rows:
    """Return rows of Python's values, those of a column one after the other; of several types in one the reason."""
    return _held(names, values)


def _held(names: Iterable[str], columns: Iterable[Any], from_pandas: bool = False) -> Rows:
    """Return the rows of columns, of those that Arrow cannot hold the reason."""
    arrays, held, refused = [], [], {}
    for name, values in zip(names, columns, strict=True):
        try:
            array = _array(values, from_pandas)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            refused[name] = _several_types(values) or str(error).splitlines()[0]
        else:
            arrays.append(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))
            held.append(name)
    return arrow_rows(pa.Table.from_arrays(arrays, held), refused)


def _several_types(values: Any) -> str:
    """Say of which types the values of a column are, with one of each; an empty text where they are of one."""
    seen = dict[str, list[Any]]()
    for value in values:
        if value is not None and not (isinstance(value, float) and value != value):
            seen.setdefault(type(value).__name__, []).append(value)
    parts = [f"{len(some):,} {kind} such as {shortened(repr(some[0]), 40)}" for kind, some in seen.items()]
    return f"holds values of several types: {', '.join(parts)}" if len(parts) > 1 else ""


def _array(values: Any, from_pandas: bool = False) -> pa.Array:
    """Return values as Arrow has them; among dates a time stays one, which Arrow would cut to its day.

    Whole numbers that 64 bits do not hold become decimals; decimals too wide for a column, or beside infinity, doubles.
    """
    kinds = set(map(type, values)) if str(getattr(values, "dtype", "object")) == "object" else set()
    if date in kinds and any(issubclass(kind, datetime) for kind in kinds):
        values = [datetime(value.year, value.month, value.day) if type(value) is date else value for value in values]
    if Decimal in kinds and any(type(value) is Decimal and value.is_infinite() for value in values):
        values = [float(value) if type(value) is Decimal else value for value in values]
    try:
        array = pa.array(values, from_pandas=from_pandas)
    except OverflowError:
        array = pa.array([Decimal(value) if type(value) is int else value for value in values], from_pandas=from_pandas)
    is_wide = pa.types.is_decimal256(array.type) and array.type.scale > 0
    return array.cast(pa.float64()) if is_wide else array
