"""Content hashes: equal values hash equal, however they are encoded, chunked or ordered by column."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical text, in hex."""
    return hash_bytes(canonical_json(value).encode())


def hash_table(table: pa.Table) -> str:
    """Return the SHA-256 of a table's values, in hex.

    The order of rows counts; the order of columns, chunks, dictionary encoding and the width of string offsets do not.
    """
    digest = hashlib.sha256(f"rows={table.num_rows}".encode())
    for name in sorted(table.column_names):
        column = _plain(table.column(name))
        digest.update(canonical_json([name, str(column.type)]).encode())
        for part in _buffers(column):
            digest.update(part)
    return digest.hexdigest()


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        array = array.cast(pa.large_string())
    return _finest(array) if pa.types.is_timestamp(array.type) else array


def _finest(array: pa.Array) -> pa.Array:
    """Return times in the finest unit that holds them all, so that the unit in which they came does not count."""
    for unit in ("ns", "us", "ms"):
        try:
            return array.cast(pa.timestamp(unit, array.type.tz))
        except pa.ArrowInvalid:  # nanoseconds end in the year 2262
            continue
    return array


def _buffers(array: pa.Array) -> Iterator[Any]:
    """Yield the parts that decide a column's values: what is missing, and the bytes of what is not."""
    kind = array.type
    yield np.packbits(array.is_null().to_numpy(zero_copy_only=False)) if array.null_count else b"complete"
    if pa.types.is_null(kind):
        return
    if pa.types.is_large_string(kind):
        filled = pc.fill_null(array, "") if array.null_count else array
        _, offsets, text = filled.buffers()
        ends = np.frombuffer(offsets, "int64", len(filled) + 1, filled.offset * 8) if len(filled) else np.zeros(1, int)
        yield np.diff(ends)
        yield memoryview(text)[ends[0] : ends[-1]] if text else b""
        return
    if pa.types.is_temporal(kind):
        array = array.cast(pa.int64() if kind.bit_width == 64 else pa.int32())
    elif not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"cannot hash a column of type {kind}; allowed: text, numbers, booleans, dates and times")
    filled = pc.fill_null(array, False if pa.types.is_boolean(kind) else 0) if array.null_count else array
    values = filled.to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(kind):
        values = np.packbits(values)
    if pa.types.is_floating(kind):
        values = values + values.dtype.type(0)  # one bit pattern for both zeros, and below for every NaN: equal values
        values[np.isnan(values)] = np.nan
    yield np.ascontiguousarray(values)
