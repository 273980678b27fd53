"""Groups: rows brought together by the values of some of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.tables.files import values_of

Codes = NDArray[np.int64]  # of each row the number of its group; -1: a value is missing, so it is in none


def group_rows(rows: Any, columns: Sequence[str]) -> tuple[Codes, dict[Any, tuple[int, int]]]:
    """Return the positions of the rows, group by group and else in their order, and each key's range among them.

    A key is a value, or a tuple of them where there are several columns or none; times are in microseconds.
    """
    if not columns:
        return np.arange(rows.num_rows), {(): (0, rows.num_rows)}
    codes, keys = _encode(rows[columns[0]])
    for number, column in enumerate(columns[1:], start=1):
        codes, keys = _cross((codes, keys), _encode(rows[column]), first=number == 1)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes, np.arange(len(keys) + 1), sorter=order)
    order, bounds = order[bounds[0] :], (bounds - bounds[0]).tolist()
    return order, {key: (bounds[i], bounds[i + 1]) for i, key in enumerate(keys)}


def _encode(column: Any) -> tuple[Codes, list[Any]]:
    import pyarrow as pa

    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, values_of(pa.chunked_array([encoded.dictionary]))


def _cross(left: tuple[Codes, list[Any]], right: tuple[Codes, list[Any]], *, first: bool) -> tuple[Codes, list[Any]]:
    """Return the pairs of two groupings that occur, as groups; those of `left` are tuples unless it is the first."""
    width = max(len(right[1]), 1)
    grouped_in_both = (left[0] >= 0) & (right[0] >= 0)
    pairs, numbers = np.unique(left[0][grouped_in_both] * width + right[0][grouped_in_both], return_inverse=True)
    codes = np.full(len(grouped_in_both), -1, np.int64)
    codes[grouped_in_both] = numbers
    parts = ((left[1][pair // width], right[1][pair % width]) for pair in pairs.tolist())
    return codes, [(one, other) if first else (*one, other) for one, other in parts]
