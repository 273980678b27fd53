"""Stores: where accepted events are kept, in one order that all who read them see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class EventLogError(ValueError):
    """Events that are kept, and cannot be taken in again."""


class StoreError(OSError):
    """A store that cannot be reached, read or written; nothing was kept."""


class UncertainError(StoreError):
    """A store that was lost over an entry, so that nobody knows whether it is kept."""


@dataclass(frozen=True)
class Entry:
    """One request's events, and their place in the order of the store: a line of a file, a number in a table."""

    line: int
    table: str
    rows: list[Any]


class News(NamedTuple):
    """The entries since those that were read last; `anew`: all that there are, whatever was read before."""

    entries: Sequence[Entry]
    anew: bool = False


class Store(Protocol):
    """Keeps entries for all processes that have it open; one thread at a time reads, and another one may write.

    Of one that is `remote` answers do not wait to hear: it is read now and then, and they say how old that is.
    """

    remote: bool

    def stale(self) -> bool:
        """Check, at the cost of a look, whether somebody may have added what was not read yet."""
        ...

    def read(self) -> list[Entry]:
        """Return all entries, and repair what a killed writer has left."""
        ...

    def news(self) -> News:
        """Return what was not read yet."""
        ...

    def settle(self) -> None:
        """Note that what was read has been taken in: until then the store is stale to all who ask."""
        ...

    def forget(self) -> None:
        """Take nothing for read: what is read next is all that there is."""
        ...

    def turn(self, deadline: float | None = None) -> AbstractContextManager[None]:
        """Let nobody else add an entry for a while; raises OutOfTimeError if that cannot be had in time."""
        ...

    def append(self, table: str, rows: Sequence[Any]) -> None:
        """Add an entry, which counts as read where all before it are; when this returns, it is kept."""
        ...

    def wrong(self, line: int, problem: str) -> EventLogError:
        """Return the error of an entry that cannot be taken in, which says where it is and what to do."""
        ...

    def age(self) -> float:
        """Return the seconds since all that was kept had been taken in."""
        ...

    def behind(self) -> str | None:
        """Return why what was read is older than it should be; None: it is not."""
        ...

    def not_ready(self) -> str | None:
        """Return why nobody should be answered by what was read; None: they may be."""
        ...

    def compact(self, keys: dict[str, list[str]]) -> None:
        """See to it, beside all else, that there are no more entries than are needed, if there are many."""
        ...


def encode(table: str, rows: Sequence[Any]) -> bytes:
    """Return an entry as a line of JSON."""
    return json.dumps({"table": table, "rows": rows}).encode() + b"\n"


def decode(number: int, line: bytes | str) -> Entry:
    """Return the entry of a line; raises ValueError, KeyError or TypeError if it is none."""
    try:
        entry = json.loads(line)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    return Entry(number, str(entry["table"]), list(entry["rows"]))
