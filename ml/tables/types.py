"""Types of columns: as Arrow has them, in SQL, and in a JSON record."""

from typing import Literal

import pyarrow as pa

SqlType = Literal["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP"]
RecordType = Literal["time", "text", "number", "flag"]


def record_type(kind: pa.DataType) -> RecordType:
    """Return the type of a column's values in a JSON record."""
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_boolean(kind):
        return "flag"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column holds numbers, or booleans, which count as such."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def sql_type(kind: pa.DataType) -> SqlType:
    """Return the type that a column of a source table has in SQL."""
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_temporal(kind):
        return "TIMESTAMP"
    if pa.types.is_integer(kind):
        return "BIGINT"
    return "DOUBLE" if is_number(kind) or pa.types.is_decimal(kind) else "VARCHAR"


def type_of(kind: SqlType) -> Literal["numeric", "categorical"]:
    """Return whether a column is a number or a category."""
    return "categorical" if kind == "VARCHAR" else "numeric"
