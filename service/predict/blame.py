"""Blame: the numbers of a record for which the model has no finite answer."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec.structs import replace

from service.records.reader import Record


def blame(record: Record, answers: Callable[[Record], bool]) -> list[str]:
    """Return the columns without whose numbers the model `answers`, none of them needlessly; none: no number is it.

    The greatest numbers are tried first.
    """
    numbers = {name: abs(value) for name, value in record.values.items() if isinstance(value, int | float)}
    blamed: list[str] = []
    for name in sorted(numbers, key=lambda name: -numbers[name]):
        blamed.append(name)
        if answers(_without(record, blamed)):
            break
    else:
        return []
    for name in blamed[:-1]:
        fewer = [other for other in blamed if other != name]
        if answers(_without(record, fewer)):
            blamed = fewer
    return blamed


def _without(record: Record, columns: Collection[str]) -> Record:
    return replace(record, values={**record.values, **dict.fromkeys(columns)})
