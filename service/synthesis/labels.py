"""Labels: the asked records as the query of the synthesized features knows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from service.plan.parts import SqlType, Synthesis
from service.plan.synthesis import INSTANCE, LABEL_COLUMNS
from service.records.reader import Record, Value, to_us

INT64 = range(-(2**63), 2**63)


class Labels:
    """The maker of the table of labels; `types` are its columns."""

    def __init__(self, synthesis: Synthesis) -> None:
        self._labels = {INSTANCE: synthesis.instance, **synthesis.labels}
        self.types: dict[str, SqlType] = {**LABEL_COLUMNS, **{name: label.type for name, label in self._labels.items()}}

    def of(self, records: Sequence[Record]) -> dict[str, list[Any]]:
        """Return the columns of the records' labels."""
        return {
            "row": list(range(len(records))),
            "cutoff": [record.cutoff_us for record in records],
            **{
                name: [as_sql(record.values.get(label.column), label.type) for record in records]
                for name, label in self._labels.items()
            },
        }


def as_sql(value: Value, kind: SqlType) -> Any:
    """Return a value as one of a type of SQL, times in microseconds; None: it is missing, or none of that type."""
    if value is None or value != value:
        return None
    if isinstance(value, dt.datetime):
        return to_us(value)
    if kind == "BIGINT":
        whole = int(value)  # the records' reader lets no infinity through
        return whole if whole == value and whole in INT64 else None
    if kind == "DOUBLE":
        return float(value)
    return bool(value) if kind == "BOOLEAN" else value
