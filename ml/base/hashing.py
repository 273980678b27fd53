"""Content hashes: equal values hash equal, however they are encoded, chunked or ordered by column."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.table_file import TableFile

_LONG = 1 << 24  # values of a column in a file that are in memory at once


def hash_bytes(content: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def hash_file(file: Any) -> str:
    """Return the SHA-256 of what is left of an opened file, in hex; little of it is in memory at a time."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical text, in hex."""
    return hash_bytes(canonical_json(value).encode())


def hash_table(table: pa.Table | TableFile) -> str:
    """Return the SHA-256 of a table's values, in hex.

    The order of rows counts; the order of columns, chunks, dictionary encoding and the width of string offsets do not.
    Of a table in a file one column, or a batch of a long one, is in memory at a time.
    """
    digest = hashlib.sha256(f"rows={table.num_rows}".encode())
    for name, columns in _held(table):
        for kind in _plain(columns.schema.field(name).type):
            with_column = digest.copy()
            with_column.update(canonical_json([name, str(kind)]).encode())
            try:
                for part in _parts(columns, name, kind):
                    with_column.update(part)
            except pa.ArrowInvalid:  # nanoseconds end in the year 2262
                continue
            digest = with_column
            break
    return digest.hexdigest()


def _held(table: pa.Table | TableFile) -> Iterator[tuple[str, pa.Table | TableFile]]:
    """Yield each column in the order of their names, with what to read it from: a long one of a file stays there."""
    for name in sorted(table.column_names):
        in_memory = isinstance(table, TableFile) and table.num_rows <= _LONG
        yield name, table.select([name]) if in_memory else table


def _plain(kind: pa.DataType) -> tuple[pa.DataType, ...]:
    """Return the types that values may be hashed as; the first that holds them all, so that theirs does not count."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind):
        return (pa.large_string(),)
    if pa.types.is_timestamp(kind):
        return tuple(pa.timestamp(unit, kind.tz) for unit in dict.fromkeys(("ns", "us", "ms", kind.unit)))
    allowed = pa.types.is_temporal, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating
    if not any(is_one(kind) for is_one in (*allowed, pa.types.is_null, pa.types.is_large_string)):
        raise TypeError(f"cannot hash a column of type {kind}; allowed: text, numbers, booleans, dates and times")
    return (kind,)


def _parts(table: pa.Table | TableFile, name: str, kind: pa.DataType) -> Iterator[Any]:
    """Yield the parts that decide a column's values: what is missing, and the bytes of what is not."""
    if any(array.null_count for array in _arrays(table, name)):
        yield from _packed(array.is_null() for array in _arrays(table, name))
    else:
        yield b"complete"
    if pa.types.is_null(kind):
        return
    missing = "" if pa.types.is_large_string(kind) else False if pa.types.is_boolean(kind) else 0

    def filled() -> Iterator[pa.Array]:
        for array in _arrays(table, name):
            values = array if array.type.equals(kind) else array.cast(kind)
            if pa.types.is_temporal(kind):
                values = values.cast(pa.int64() if kind.bit_width == 64 else pa.int32())
            yield pc.fill_null(values, missing) if values.null_count else values

    if pa.types.is_large_string(kind):
        yield from (np.diff(_ends(array)) for array in filled())
        yield from (_text(array) for array in filled())
    elif pa.types.is_boolean(kind):
        yield from _packed(filled())
    else:
        yield from (_bytes(array) for array in filled())


def _arrays(table: pa.Table | TableFile, name: str) -> Iterator[pa.Array]:
    """Yield the parts of a column, none of them empty."""
    if isinstance(table, TableFile):
        yield from (batch.column(name) for batch in table.batches([name]))
    else:
        yield from filter(len, table.column(name).chunks)


def _packed(arrays: Iterable[pa.Array]) -> Iterator[Any]:
    """Yield booleans as bits, packed as if they came in one array."""
    rest = np.zeros(0, bool)
    for array in arrays:
        bits = np.concatenate([rest, array.to_numpy(zero_copy_only=False)])
        whole = len(bits) // 8 * 8
        yield np.packbits(bits[:whole])
        rest = bits[whole:]
    yield np.packbits(rest)


def _ends(array: pa.Array) -> Any:
    """Return where the texts of an array begin, and where the last one ends, in its buffer: [n + 1] bytes."""
    return np.frombuffer(array.buffers()[1], "int64", len(array) + 1, array.offset * 8)


def _text(array: pa.Array) -> Any:
    ends, text = _ends(array), array.buffers()[2]
    return memoryview(text)[ends[0] : ends[-1]] if text else b""


def _bytes(array: pa.Array) -> Any:
    values = array.to_numpy(zero_copy_only=False)
    if np.issubdtype(values.dtype, np.floating):
        values = values + values.dtype.type(0)  # one bit pattern for both zeros, and below for every NaN: equal values
        values[np.isnan(values)] = np.nan
    return np.ascontiguousarray(values)
