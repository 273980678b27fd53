"""Sums: exact running sums of integers that may outgrow 64 bits."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**41  # every value stays below: its square then fits the 128 bits below, and the words of `_squares`

_Words = tuple[NDArray[np.uint64], NDArray[np.int64]]  # 128-bit integers: the lower 64 bits, and the signed upper ones


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of the first 0, 1, ... values. `high` None: all fit 64 bits; else `low` is unsigned, below `high`."""

    low: array[int]
    high: array[int] | None

    @classmethod
    def empty(cls) -> Sums:
        """Return the sums of no values."""
        return cls(array("q", [0]), None)

    def between(self, start: int, stop: int) -> int:
        """Return the sum of the values from `start` up to, and without, `stop`."""
        low = self.low[stop] - self.low[start]
        return low if self.high is None else low + (self.high[stop] - self.high[start] << 64)

    def part(self, start: int, stop: int) -> Sums:
        """Return the sums of some of the values, all of them greater by the same number."""
        return Sums(self.low[start : stop + 1], None if self.high is None else self.high[start : stop + 1])

    def continue_from(self, at: int, values: NDArray[np.int64], *, squared: bool = False) -> Sums:
        """Return the sums of the first `at` values, then of `values` or their squares."""
        head_low, head_high = self._words(at + 1)
        low, high = _squares(values) if squared else (values.view(np.uint64), values >> 63)
        low, high = _running((np.append(head_low[-1:], low), np.append(head_high[-1:], high)))
        if self.high is None and np.array_equal(high, low.view(np.int64) >> 63):
            return Sums(self.low[:at] + array("q", low.tobytes()), None)
        return Sums(_array_of("Q", head_low[:at], low), _array_of("q", head_high[:at], high))

    def _words(self, count: int) -> _Words:
        low = np.frombuffer(self.low, np.uint64)[:count]
        high = low.view(np.int64) >> 63 if self.high is None else np.frombuffer(self.high, np.int64)[:count]
        return low, high


def _running(words: _Words) -> _Words:
    low, high = words
    sums = np.cumsum(low, dtype=np.uint64)  # wraps around, and is then less than what was added last
    return sums, np.cumsum(high + (sums < low))


def _squares(values: NDArray[np.int64]) -> _Words:
    """Square by way of halves of 21 bits, whose products fit 64 bits as long as values stay below LIMIT."""
    sizes = np.abs(values).view(np.uint64)
    upper, lower = sizes >> np.uint64(21), sizes & np.uint64(2**21 - 1)
    middle = (upper * lower << np.uint64(22)) + lower * lower
    high = upper * upper + (middle >> np.uint64(42)) >> np.uint64(22)
    return sizes * sizes, high.view(np.int64)


def _array_of(code: Any, *parts: NDArray[Any]) -> array[int]:
    return array(code, np.concatenate(parts).tobytes())
