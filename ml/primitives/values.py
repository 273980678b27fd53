"""Python values, and what SQL makes of numbers, for the primitives' expressions."""

from datetime import datetime
from typing import Any

# featuretools' own lengths, in seconds: a month is 365 / 12 days and a year about 365 days.
SECONDS = {
    "years": 31_540_000,
    "months": 2_628_000,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
    "milliseconds": 1e-3,
    "nanoseconds": 1e-9,
}
MICROSECONDS_PER_DAY = 86_400_000_000
CUTOFF = "__cutoff"  # the column in which every relation of the compiler has its rows' cutoff


def literal(value: Any) -> str:
    """Return a Python, numpy or pandas scalar as SQL; None, NaN and NaT are NULL.

    Raises TypeError for anything else.
    """
    if hasattr(value, "item"):
        value = value.item()
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if str(value) in ("None", "nan", "NaT", "<NA>"):
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    raise TypeError(f"a value of type {type(value).__name__} ({value!r}) has no SQL here; use text, a number or a time")


def number(expression: str) -> str:
    return f"nullif({expression}, 'nan'::DOUBLE)"


def double(expression: str) -> str:
    return f"CAST({expression} AS DOUBLE)"


def seconds(unit: str) -> str:
    if unit not in SECONDS:
        raise TypeError(f"{unit!r} is no unit of time; there are {sorted(SECONDS)}")
    return double(str(SECONDS[unit]))
