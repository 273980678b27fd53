"""Sums: exact running sums of integers that may outgrow 64 bits."""

from __future__ import annotations

from array import array
from contextlib import suppress
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

    def append(self, at: int, value: int) -> Sums:
        """Return the sums of the first `at` values, then of one more, which is squared already where that is asked."""
        total = self.low[at] + value if self.high is None else self.low[at] + (self.high[at] << 64) + value
        if self.high is not None:
            low, high = array("Q", [total & 2**64 - 1]), array("q", [total >> 64])
            return Sums(continued(self.low, at + 1, low), continued(self.high, at + 1, high))
        if -(2**63) <= total < 2**63:
            return Sums(continued(self.low, at + 1, array("q", [total])), None)
        words = [*self.low[: at + 1], total]
        return Sums(array("Q", [word & 2**64 - 1 for word in words]), array("q", [word >> 64 for word in words]))

    def continue_from(self, at: int, values: NDArray[np.int64], *, squared: bool = False) -> Sums:
        """Return the sums of the first `at` values, then of `values` or their squares."""
        first_low, first_high = self._words(at, at + 1)
        low, high = _squares(values) if squared else (values.view(np.uint64), values >> 63)
        low, high = _running((np.append(first_low, low), np.append(first_high, high)))
        if self.high is not None:
            lower, upper = array("Q", low[1:].tobytes()), array("q", high[1:].tobytes())
            return Sums(continued(self.low, at + 1, lower), continued(self.high, at + 1, upper))
        if np.array_equal(high, low.view(np.int64) >> 63):
            return Sums(continued(self.low, at + 1, array("q", low[1:].tobytes())), None)
        head_low, head_high = self._words(0, at)
        return Sums(_array_of("Q", head_low, low), _array_of("q", head_high, high))

    def _words(self, start: int, stop: int) -> _Words:
        """Return some sums as copies: an array that somebody looks at cannot be continued."""
        low = np.frombuffer(self.low, np.uint64)[start:stop].copy()
        return low, low.view(np.int64) >> 63 if self.high is None else np.array(self.high[start:stop], np.int64)


def continued(values: array[int], count: int, more: array[int]) -> array[int]:
    """Return the first `count` values, then more.

    Where there are no others, in place: whoever knows only the first ones sees nothing of it, and to copy them would
    take the longer the more there are.
    """
    if count == len(values):
        with suppress(BufferError):  # somebody looks at it through NumPy
            values.extend(more)
            return values
    values = values[:count]
    values.extend(more)
    return values


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
