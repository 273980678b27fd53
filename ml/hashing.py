"""Content hashes: equal values hash equal, however they are encoded, chunked or ordered by column."""

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def hash_bytes(content: bytes) -> str:
    """SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON value's canonical text, in hex."""
    return hash_bytes(canonical_json(value).encode())


def hash_table(table: pa.Table) -> str:
    """SHA-256 of a table's values, in hex.

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
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ns", array.type.tz))
    return array


def _buffers(array: pa.Array) -> list[bytes]:
    """The parts that decide a column's values: what is missing, and the bytes of what is not."""
    missing = np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes()
    kind = array.type
    if pa.types.is_null(kind):
        return [missing]
    if pa.types.is_large_string(kind):
        filled = pc.fill_null(array, "")
        lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes()
        return [missing, lengths, "".join(filled.to_pylist()).encode()]
    if pa.types.is_boolean(kind):
        return [missing, np.packbits(pc.fill_null(array, False).to_numpy(zero_copy_only=False)).tobytes()]
    if pa.types.is_temporal(kind):
        array = array.cast(pa.int64() if kind.bit_width == 64 else pa.int32())
        return [missing, pc.fill_null(array, 0).to_numpy(zero_copy_only=False).tobytes()]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
        if pa.types.is_floating(kind):
            # One bit pattern for every NaN and for both zeros: they are equal values.
            values = np.where(np.isnan(values), np.nan, values + 0.0).astype(values.dtype)
        return [missing, np.ascontiguousarray(values).tobytes()]
    raise TypeError(f"cannot hash a column of type {kind}; allowed: text, numbers, booleans, dates and times")
