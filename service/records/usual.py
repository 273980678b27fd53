"""Usual values: what training had of each column of a record, and warnings about what it had not."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from service.plan.parts import ColumnType
from service.records.notices import Notice, notice
from service.records.reader import FLOAT32_MAX, excerpt

MARGIN = 0.5  # of the range of a column's numbers, by which one must be beyond it to be warned of
RARE = 0.01  # a share of missing values from which on one more is nothing to warn of
INT64 = range(-(2**63), 2**63)


class UsualColumn(msgspec.Struct, frozen=True):
    """The range of a column's numbers among the rows that the model learned from, and the share without a value."""

    missing: float
    lowest: float | None = None
    highest: float | None = None

    @property
    def near(self) -> tuple[float, float] | None:
        """The range of numbers that are not far from training; all of a new sign are. None: there was no number."""
        if self.lowest is None or self.highest is None:
            return None
        margin = (self.highest / 2 - self.lowest / 2) * 2 * MARGIN  # of halves, as the range itself may be infinite
        low = max(self.lowest - margin, 0.0 if self.lowest >= 0 else -FLOAT32_MAX)
        high = min(self.highest + margin, 0.0 if self.highest <= 0 else FLOAT32_MAX)
        return min(low, self.lowest), max(high, self.highest)


class Usual:
    """Warns about the values of a record that training had not; those that it had are seen by one look of msgspec.

    `categories` are all that training had of a column of texts; where it had more than a model knows, any is usual.
    """

    def __init__(
        self,
        record: Mapping[str, ColumnType],
        columns: Mapping[str, UsualColumn],
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._categories = {name: frozenset(known) for name, known in (categories or {}).items()}
        about = dict.fromkeys(self._categories, UsualColumn(1.0)) | dict(columns)
        self._columns = {name: column for name, column in about.items() if name in record}
        fields = {f"column_{position}": name for position, name in enumerate(self._columns)}
        types: list[Any] = [
            (field, kind) if self._columns[name].missing < RARE else (field, kind | None, None)
            for field, name in fields.items()
            for kind in [_usual_type(record[name], self._columns[name], self._categories.get(name))]
        ]
        self._row = msgspec.defstruct("UsualRow", types, rename=fields, kw_only=True)
        self._limits = [
            (name, _absent(name, column), column.near if record[name] == "number" else None, self._categories.get(name))
            for name, column in self._columns.items()
        ]

    def warnings(self, row: Mapping[str, Any]) -> list[Notice]:
        """Return a warning for each value of a sound record that is unusual."""
        try:
            msgspec.convert(row, self._row)
        except msgspec.ValidationError:
            return list(self._unusual(row))
        return []

    def _unusual(self, row: Mapping[str, Any]) -> Iterator[Notice]:
        for name, absent, near, categories in self._limits:
            value = row.get(name)
            if value is None or (value == "" and categories is not None):  # of categories, the model reads it so
                if absent is not None:
                    yield absent
            elif near and not near[0] <= value <= near[1]:
                yield _far(name, value, self._columns[name])
            elif categories is not None and value not in categories:
                text = f"{name} {excerpt(value)!r} is new to the model, which knows {len(categories)} others"
                yield notice("new_category", name, [name], text)


def _usual_type(kind: ColumnType, column: UsualColumn, categories: Collection[str] | None) -> Any:
    """Return msgspec's type of the values that are usual."""
    if categories is not None:
        missing = [] if column.missing < RARE else [""]
        return Literal[(*sorted(categories), *missing)]
    if kind != "number":
        return {"text": str, "time": str, "flag": bool}[kind]
    if (near := column.near) is None:
        return int | float
    usual: Any = Annotated[float, Meta(ge=near[0], le=near[1])]
    least, most = math.ceil(near[0]), math.floor(near[1])
    if least in INT64 and most in INT64:
        usual |= Annotated[int, Meta(ge=least, le=most)]
    return usual


def _absent(name: str, column: UsualColumn) -> Notice | None:
    """Return the warning of a value that is missing; None: that is nothing rare."""
    if column.missing >= RARE:
        return None
    return notice("missing", name, [], f"{name} is missing, as in {column.missing:.1%} of the rows of training")


def _far(name: str, value: Any, column: UsualColumn) -> Notice:
    """Return the warning of a number that is far from training."""
    trained = f"{column.lowest:.6g} to {column.highest:.6g}"
    return notice("far", name, [name], f"{name} {excerpt(value)} is far from training, where it was from {trained}")
