"""Arrays: an Arrow table as the rows that a predictor answers by columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.frames.columns import ColumnsError, check_types, match, records_of
from service.frames.times import is_time, parsed_us, times_us
from service.plan.document import Plan
from service.plan.parts import ColumnType
from service.predict.rows import Column


class TableRows:
    """The rows of an Arrow table; raises ColumnsError where its columns are not those of a record."""

    def __init__(self, table: Any, plan: Plan) -> None:
        check_schema(table.schema, plan)
        readable = [_readable(column) for column in table.columns]
        self._plan, self._columns = plan, plan.columns
        self._table = type(table).from_arrays(readable, table.schema.names) if readable else table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def columns(self, start: int, stop: int) -> Mapping[str, Column]:
        """Return the columns of some of the rows."""
        part = self._table.slice(start, stop - start).combine_chunks()
        names = self._table.schema.names
        return {
            name: column_of(column.chunk(0), self._columns[name])
            for name, column in zip(names, part.columns, strict=True)
        }

    def records(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return some of the rows as a request would hold them in JSON."""
        if isinstance(places, range):
            return records_of(self._table.slice(places.start, len(places)), self._plan, keys=True)
        return records_of(self._table.take(places), self._plan, keys=True)


def check_names(names: Sequence[str], plan: Plan) -> None:
    """Raise ColumnsError where the names of columns are not those of a record."""
    if unknown := [name for name in match(names, plan).beyond if name not in plan.key]:
        raise ColumnsError(
            f"unknown columns {unknown}; the model of {plan.use_case} takes {', '.join(sorted(plan.columns))}"
        )


def check_schema(schema: Any, plan: Plan) -> None:
    """Raise ColumnsError where columns are not those of a record, or of another type than it has."""
    check_names(schema.names, plan)
    check_types(schema, plan.columns)


def _readable(column: Any) -> Any:
    """Return a column whose missing values are nulls of its own, none of its dictionary's, and whose rows can be taken.

    pyarrow takes no rows of views of texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string_view(kind):
        return pc.cast(column, pa.large_string())
    if not pa.types.is_dictionary(kind):
        return column
    if pa.types.is_string_view(kind.value_type):
        listed = [
            pa.DictionaryArray.from_arrays(chunk.indices, pc.cast(chunk.dictionary, pa.large_string()))
            for chunk in column.chunks
        ]
        column = pa.chunked_array(listed, pa.dictionary(kind.index_type, pa.large_string()))
    holes = any(chunk.dictionary.null_count for chunk in column.chunks)
    return pc.cast(column, column.type.value_type) if holes else column


def text_bytes(column: Any) -> int:
    """Return the bytes that the texts of a column take once each row has its own; 0 where rows do already."""
    return sum(map(_shared_bytes, column.chunks))


def _shared_bytes(array: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string_view(array.type):
        views = np.frombuffer(array.buffers()[1], np.int32)[:: 16 // 4]
        return int(views[array.offset : array.offset + len(array)].astype(np.int64).sum())
    if pa.types.is_dictionary(array.type) and not pa.types.is_primitive(array.type.value_type):
        if not len(array):
            return 0
        lengths = pc.binary_length(pc.cast(array.dictionary, pa.large_string()))
        return pc.sum(pc.take(lengths, array.indices)).as_py() or 0
    return 0


def column_of(array: Any, kind: ColumnType) -> Column:
    """Return an Arrow array of a type that a column may have as its values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(array.type):
        array = pc.cast(array, pa.float64() if kind in ("number", "flag") else pa.string())
    if kind == "flag":
        return Column(_numpy(pc.cast(pc.cast(_plain(array), pa.uint8()), pa.float64())))
    if kind == "number":
        return Column(_numpy(pc.cast(_plain(array), pa.float64(), safe=False)))
    missing = _numpy(pc.is_null(array)) if array.null_count else None
    if kind == "text":
        return Column(_texts(array), missing)
    plain = _plain(array)
    times, doubtful = times_us(plain) if is_time(plain.type) else parsed_us(_texts(plain))
    return Column(times, missing, doubtful)


def _plain(array: Any) -> Any:
    """Return the values of a dictionary, one for each row."""
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _texts(array: Any) -> Any:
    """Return texts as objects; rows that share a text in a dictionary share the object."""
    import pyarrow as pa

    if not pa.types.is_dictionary(array.type):
        return _numpy(array)
    shared = np.append(_numpy(array.dictionary), [None])
    return shared[_numpy(array.indices.cast(pa.int64()).fill_null(len(shared) - 1))]


def _numpy(array: Any) -> Any:
    return array.to_numpy(zero_copy_only=False)
