"""Rows: many records as columns, and the answers to them as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ROWS = 10_000  # that are read together: their columns stay near the processor, and the clock is looked at in between

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """The values of a column: float64 of numbers and flags, missing NaN; texts, missing None; times in microseconds.

    `missing` are the missing texts and times, None: none is. `doubtful` are values that a record may not have.
    """

    values: NDArray[Any]
    missing: Mask | None = None
    doubtful: Mask | None = None


class Rows(Protocol):
    """Rows with columns of a record, each a value or missing."""

    def __len__(self) -> int:
        """Return their number."""
        ...

    def columns(self, start: int, stop: int) -> Mapping[str, Column]:
        """Return the columns that are there, of some of the rows."""
        ...

    def records(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return some of the rows as a request would hold them in JSON."""
        ...


class WordyError(ValueError):
    """Rows whose warnings take more bytes than an answer may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the warnings about these rows take more than {most} bytes")


@dataclass
class Scored:
    """The scores of rows, float64 [n], or of many classes or targets [n, n_answers], and the warnings of some.

    `ids` name the predictions, where they have names.
    """

    scores: NDArray[np.float64]
    warned: dict[int, list[str]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    most_bytes: int | None = None
    _bytes: int = 0

    def warn(self, place: int, warnings: Sequence[str]) -> None:
        """Keep the warnings of a row; raises WordyError once all take too many bytes."""
        if warnings:
            self.warned[place] = list(warnings)
            self._bytes += sum(map(len, warnings))
            if self.most_bytes is not None and self._bytes > self.most_bytes:
                raise WordyError(self.most_bytes)

    def warnings(self) -> list[list[str]]:
        """Return the warnings of each row; those of rows without any are one list."""
        listed = [list[str]()] * len(self.scores)
        for place, warnings in self.warned.items():
            listed[place] = warnings
        return listed
