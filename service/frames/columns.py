"""Columns: a table's values as the records that a request would hold, nothing guessed and nothing dropped unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from service.frames.times import is_time, times_us
from service.plan.document import Plan
from service.plan.parts import ColumnType

ALIKE = 0.8  # difflib's similarity from which on one name may be a slip of another
_ALLOWED = {
    "number": "numbers",
    "text": "texts",
    "flag": "true and false",
    "time": "times without an offset, or ISO 8601 texts",
}


class ColumnsError(ValueError):
    """A table whose columns cannot be read as records; the message names each, and says what to do."""


@dataclass(frozen=True)
class Matched:
    """The columns of a table: those that records have, those of a record that it lacks, and those beyond a record."""

    used: list[str]
    absent: list[str]
    beyond: list[str]


def match(names: Sequence[str], plan: Plan) -> Matched:
    """Compare a table's columns with a record's, in whatever order they come.

    Raises ColumnsError for a name that is there twice, a required column that is not there, one that is there under a
    name much like it, and a table that has nothing of a record.
    """
    listed = list(map(str, names))
    used = [name for name in plan.record if name in listed]
    absent = [name for name in plan.record if name not in listed]
    beyond = [name for name in listed if name not in plan.record]
    repeated = [name for name in {**plan.record, **plan.key} if listed.count(name) > 1]
    problems = [f"{name!r} is there {listed.count(name)} times" for name in repeated]
    for name in absent:
        if near := _near(name, beyond):
            problems.append(f"{name!r} is not there; did you mean it by {near!r}? Rename that one, or leave it out")
        elif name in plan.required:
            problems.append(f"{name!r} is required, and not there")
    if plan.record and not used and not problems:
        problems.append("it has none of a record's columns")
    if problems:
        raise ColumnsError(
            f"{'; '.join(problems)}. The model of {plan.use_case} takes the columns {', '.join(sorted(plan.record))}; "
            f"those of the table are {', '.join(listed) or 'none'}"
        )
    return Matched(used, absent, beyond)


def _near(name: str, others: Sequence[str]) -> str | None:
    """Return the one of some other names that may be meant by a name."""
    lower = {other.lower(): other for other in others}
    near = get_close_matches(name.lower(), lower, 1, ALIKE)
    return lower[near[0]] if near else None


def records_of(table: Any, plan: Plan, *, keys: bool = False) -> list[dict[str, Any]]:
    """Return the rows of an Arrow table or batch, whose columns match, as a request would hold them in JSON.

    With `keys` they bear theirs, where they have one. Raises ColumnsError for columns whose type is none of a record's.
    """
    columns = plan.columns if keys else plan.record
    names = [name for name in table.schema.names if name in columns]
    check_types(table.schema, columns)
    values = [_values(table.column(table.schema.get_field_index(name)), columns[name]) for name in names]
    if not names:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def check_types(schema: Any, columns: Mapping[str, ColumnType]) -> None:
    """Raise ColumnsError for the columns of a table whose type is none of a record's."""
    problems = [
        f"the column {field.name!r} holds {field.type}, and the model takes {_ALLOWED[columns[field.name]]}; convert it"
        for field in schema
        if field.name in columns and not _fits(field.type, columns[field.name])
    ]
    if problems:
        raise ColumnsError("; ".join(problems))


def _fits(given: Any, kind: ColumnType) -> bool:
    from pyarrow import types

    of = given.value_type if types.is_dictionary(given) else given
    if types.is_null(of):
        return True
    if kind == "number":
        return bool(types.is_decimal(of) or types.is_floating(of) or types.is_integer(of))
    if kind == "flag":
        return bool(types.is_boolean(of))
    is_text = types.is_string(of) or types.is_large_string(of) or types.is_string_view(of)
    return bool(is_text or (kind == "time" and is_time(of)))


def _values(array: Any, kind: ColumnType) -> list[Any]:
    """Return the values of a column, whose type fits, as JSON has them, a missing one None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        array = pc.cast(array, array.type.value_type)
    if pa.types.is_null(array.type):
        return [None] * len(array)
    read = {"number": _numbers, "time": _times}.get(kind)
    values: list[Any] = (array if read is None else read(array)).to_pylist()
    return values


def _numbers(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_decimal(array.type):
        return pc.cast(array, pa.float64())
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def _times(array: Any) -> Any:
    """Return times as ISO 8601 texts, which the service reads; one that no calendar has in words, which it refuses."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_time(array.type):
        return array
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    us, wrong = times_us(array)
    times = pa.array(us, pa.timestamp("us"), mask=pc.is_null(array).to_numpy(zero_copy_only=False))
    texts = pc.strftime(times, format="%Y-%m-%dT%H:%M:%S")
    if wrong is None:
        return texts
    unit = "days" if pa.types.is_date32(array.type) else "ms" if pa.types.is_date64(array.type) else array.type.unit
    integers = pc.cast(array, pa.int32() if unit == "days" else pa.int64())
    words = pc.binary_join_element_wise(pc.cast(integers, pa.string()), f"{unit} since 1970", " ")
    return pc.if_else(wrong, words, texts)
