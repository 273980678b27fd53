"""Spellings of values: how a source writes numbers, times and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Unit = Literal["s", "ms", "us", "ns"]
T = TypeVar("T")


@dataclass(frozen=True)
class Spelling:
    """The way in which one column writes its values.

    A text that is one of `texts` is missing, and a number that equals one of `numbers`. Texts of times are written as
    `dates` says, if not by ISO 8601; numbers of times count `unit` since 1970. `is_time`: it is named as
    one of times.
    """

    texts: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    decimal: str = "."
    thousands: str = ""
    dates: str | None = None
    unit: Unit | None = None
    is_time: bool = False


PLAIN = Spelling()


def of_column(declared: T | Mapping[str, T] | None, column: str) -> T | None:
    """Return what is declared of a column, by its name or of all alike."""
    return declared.get(column) if isinstance(declared, Mapping) else declared
