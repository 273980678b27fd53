"""Keys of two tables that are to find each other, whatever types of numbers or texts they came as."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc


def alike(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns of keys in one type in which equal values are equal.

    Numbers of any type meet as whole ones where one side has those: one with a fraction equals none of them and becomes
    missing, and none is rounded on the way. Raises ArrowInvalid for types that have no common one.
    """
    left, right = _plain(left), _plain(right)
    if pa.types.is_null(left.type) or pa.types.is_null(right.type):
        return (left.cast(right.type), right) if pa.types.is_null(left.type) else (left, right.cast(left.type))
    if left.type.equals(right.type):
        return left, right
    if _kind(left.type) != _kind(right.type):  # the text '012' is not 12
        raise pa.ArrowInvalid(f"{left.type} and {right.type} are never equal")
    if pa.types.is_timestamp(left.type) and pa.types.is_timestamp(right.type):
        return left.cast(pa.timestamp("us"), safe=False), right.cast(pa.timestamp("us"), safe=False)
    if pa.types.is_integer(left.type) or pa.types.is_integer(right.type):
        return _whole(left), _whole(right)
    return left, right.cast(left.type)


def joined(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return one column that names rows as several do: itself if it is one, else the texts of all, with | between."""
    if len(columns) == 1:
        return columns[0]
    texts = [column.cast(pa.large_string()) for column in map(_plain, columns)]
    for mark, escaped in (("\\", "\\\\"), ("|", "\\|")):
        texts = [pc.replace_substring(text, mark, escaped) for text in texts]
    return pc.binary_join_element_wise(*texts, pa.scalar("|", pa.large_string()))


def named_apart(keys: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Return the names of key columns beside columns that are `taken`, by their own: `key_score` where there is one."""
    names, used = dict[str, str](), set(taken)
    for key in keys:
        name = key
        while name in used:
            name = f"key_{name}"
        used.add(name)
        names[key] = name
    return names


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values themselves, both zeros of doubles as one, which Arrow tells apart."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.add(column, pa.scalar(0, column.type)) if pa.types.is_floating(column.type) else column


def _kind(kind: pa.DataType) -> str:
    """Return which types are those of equal values."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return "text" if is_text else str(kind)


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column.cast(pa.int64())
    is_whole = pc.and_(pc.equal(column, pc.trunc(column)), pc.less(pc.abs(column), 2.0**63))
    return pc.if_else(is_whole, column, pa.scalar(None, column.type)).cast(pa.int64(), safe=False)


def places(
    keys: pa.ChunkedArray | Sequence[pa.ChunkedArray], of: pa.ChunkedArray | Sequence[pa.ChunkedArray]
) -> pa.ChunkedArray:
    """Return the place of each key among some keys, the first of equal ones; null where it is missing or not there.

    A key of several columns is given by these, in the same order on both sides; it is missing where one of them is.
    """
    left = [keys] if isinstance(keys, pa.ChunkedArray) else list(keys)
    right = [of] if isinstance(of, pa.ChunkedArray) else list(of)
    found, among = left[0], right[0]
    for column, values in zip(left[1:], right[1:], strict=True):
        found, among = _paired(found, among, column, values)
    return _places(found, among)


def _paired(
    found: pa.ChunkedArray, among: pa.ChunkedArray, column: pa.ChunkedArray, values: pa.ChunkedArray
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns of keys, and two more, as two columns of numbers that are equal where both are."""
    count = len(values) + 1
    firsts, seconds = (_places(found, among), _places(among, among)), (_places(column, values), _places(values, values))
    first, second = (
        pc.add(pc.multiply(one.cast(pa.int64()), count), other.cast(pa.int64()))
        for one, other in zip(firsts, seconds, strict=True)
    )
    return first, second


def _places(keys: pa.ChunkedArray, of: pa.ChunkedArray) -> pa.ChunkedArray:
    keys, of = alike(keys, of)
    return pc.index_in(
        keys, value_set=pa.concat_arrays(of.chunks) if of.num_chunks else pa.array([], of.type), skip_nulls=True
    )
