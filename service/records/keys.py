"""Keys: the columns of a record by whose values a lookup finds what it holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from service.records.reader import EPOCH, MICROSECOND, Record, to_us


class Key:
    """The record columns that select from a lookup."""

    def __init__(self, on: Sequence[str]) -> None:
        self.on = on

    def of(self, record: Record) -> Any:
        """Return the key to look a record up by; None: a part of it is missing, so nothing can match."""
        values = record.values
        return join_key([values[column] for column in self.on])

    def absent(self, record: Record) -> str:
        """Return which parts of a record's key are missing, as a warning says it."""
        missing = [column for column in self.on if record.values[column] is None]
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"

    def text(self, record: Record) -> str:
        """Return the record's key as a warning names it."""
        return ", ".join(f"{column} {_text(record.values[column])}" for column in self.on)


def join_key(parts: Sequence[Any]) -> Any:
    """Return one value, or a tuple of several, times in microseconds; None if one is missing."""
    joined = []
    for part in parts:
        if part is None or part != part:  # NaN equals nothing, not even itself
            return None
        joined.append(to_us(part) if isinstance(part, dt.datetime) else part)
    return joined[0] if len(joined) == 1 else tuple(joined)


def time_text(us: int) -> str:
    """Return a time in microseconds since 1970 as a warning names it."""
    try:
        return (EPOCH + us * MICROSECOND).isoformat()
    except OverflowError:  # a cutoff before the year 1
        return "before any time"


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else repr(value)
