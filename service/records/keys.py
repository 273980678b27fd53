"""Keys: the columns of a record by whose values a lookup finds what it holds, and the names of rows that are sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from service.records.reader import EPOCH, MICROSECOND, Record, Value, excerpt, to_us

LARGEST_KEY = 2**53  # a greater number may not be the one that was meant


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


def key_text(key: Value) -> str | None:
    """Return the text of a part of a key, as the plan's query has it; None: a number that is none."""
    if isinstance(key, str):
        return key
    if isinstance(key, dt.datetime):
        return str(to_us(key))
    if isinstance(key, int | float) and key == int(key) and abs(key) <= LARGEST_KEY:
        return str(int(key))
    return None


def joined_text(parts: Sequence[str]) -> str:
    """Return the name of an event by the parts of its key, with | between; a part that holds one is escaped."""
    if len(parts) == 1:
        return parts[0]
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def time_text(us: int) -> str:
    """Return a time in microseconds since 1970 as a warning names it."""
    try:
        return (EPOCH + us * MICROSECOND).isoformat()
    except OverflowError:  # a cutoff before the year 1
        return "before any time"


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else repr(excerpt(value))
