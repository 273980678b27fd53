"""Names of the slices of a column: values and ranges, in no more digits than it takes to tell them apart."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

Way = Callable[[object], str]
FEWEST_DIGITS, MOST_DIGITS = 4, 17  # significant ones of a number; no two floats of 64 bits are alike in 17
TIMES = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
WITHOUT_EXPONENT = 1e15


def value_names(values: Sequence[object]) -> list[str]:
    """Name different values, no two alike."""
    for way in _ways(values):
        names = [way(value) for value in values]
        if _all_different(names):
            return names
    return [f"{value!r} ({number})" for number, value in enumerate(values, start=1)]


def range_names(lows: Sequence[object], highs: Sequence[object]) -> list[str]:
    """Name ranges of which no two overlap, by the least and the greatest value in each."""
    ends = list(zip(lows, highs, strict=True))
    for way in _ways([*lows, *highs]):
        names = [(way(low), way(high)) for low, high in ends]
        wide = all(low != high for (low, high), values in zip(names, ends, strict=True) if values[0] != values[1])
        if wide and _all_different(names):
            break
    return [f"{low} to {high}" for low, high in names]


def unlike(name: str, taken: Collection[str]) -> str:
    """Put a name in brackets, as often as it takes to be none of those that are taken."""
    name = f"({name})"
    while name in taken:
        name = f"({name})"
    return name


def _ways(values: Sequence[object]) -> Iterator[Way]:
    """Yield the ways to write values of one kind, the shortest first."""
    if all(isinstance(value, float | np.floating) for value in values):
        yield from (partial(_number, digits) for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1))
    if all(isinstance(value, pd.Timestamp) for value in values):
        yield from (partial(_time, form) for form in TIMES)
    yield str
    yield repr


def _number(digits: int, value: object) -> str:
    """Write a number in so many significant digits, or more where it has more before its point."""
    number = float(value)  # type: ignore[arg-type]
    whole = len(f"{abs(number):.0f}") if abs(number) < WITHOUT_EXPONENT else 0
    return f"{number:.{max(digits, whole)}g}"


def _time(form: str, value: object) -> str:
    return format(value, form)


def _all_different(names: Sequence[object]) -> bool:
    return len(set(names)) == len(names)
