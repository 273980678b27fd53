"""Usual values: what training had of each column of a record, and warnings about what it had not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from service.plan.parts import ColumnType
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
    """Warns about the values of a record that training had not; those that it had are seen by one look of msgspec."""

    def __init__(self, record: Mapping[str, ColumnType], columns: Mapping[str, UsualColumn]) -> None:
        self._columns = {name: column for name, column in columns.items() if name in record}
        fields = {f"column_{position}": name for position, name in enumerate(self._columns)}
        types: list[Any] = [
            (field, _usual_type(record[name], self._columns[name]))
            if self._columns[name].missing < RARE
            else (field, _usual_type(record[name], self._columns[name]) | None, None)
            for field, name in fields.items()
        ]
        self._row = msgspec.defstruct("UsualRow", types, rename=fields, kw_only=True)
        self._limits = [
            (name, _absent(name, column), column.near if record[name] == "number" else None)
            for name, column in self._columns.items()
        ]

    def warnings(self, row: Mapping[str, Any]) -> list[str]:
        """Return a warning for each value of a sound record that is unusual."""
        try:
            msgspec.convert(row, self._row)
        except msgspec.ValidationError:
            return [
                absent if value is None else _far(name, value, self._columns[name])
                for name, absent, near in self._limits
                if (absent if (value := row.get(name)) is None else near and not near[0] <= value <= near[1])
            ]
        return []


def _usual_type(kind: ColumnType, column: UsualColumn) -> Any:
    """Return msgspec's type of the values that are usual."""
    if kind != "number":
        return {"text": str, "time": str, "flag": bool}[kind]
    if (near := column.near) is None:
        return int | float
    usual: Any = Annotated[float, Meta(ge=near[0], le=near[1])]
    least, most = math.ceil(near[0]), math.floor(near[1])
    if least in INT64 and most in INT64:
        usual |= Annotated[int, Meta(ge=least, le=most)]
    return usual


def _absent(name: str, column: UsualColumn) -> str:
    """Return the warning of a value that is missing; none, where that was nothing rare."""
    return f"{name} is missing, as in {column.missing:.1%} of the rows of training" if column.missing < RARE else ""


def _far(name: str, value: Any, column: UsualColumn) -> str:
    """Return the warning of a number that is far from training."""
    trained = f"{column.lowest:.6g} to {column.highest:.6g}"
    return f"{name} {excerpt(value)} is far from training, where it was from {trained}"
