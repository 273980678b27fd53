"""A split that the data brings along, in a column."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ml.base.sql import DataError
from ml.declaration.splits.kind import SplitKind
from ml.declaration.splits.shares import random_shares, rows_together

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml.tasks.task import Kind

Value = bool | int | float | str


class ColumnSplit(SplitKind):
    """By a column of the examples' table, whose values say who trains, validates and tests."""

    keys = ("column",)

    column: str = Field(
        description="A column of the examples' table whose values say in which split a row is. It is no feature, so "
        "that the table's `ignore` must name it."
    )
    train: list[Value] = Field(default=["train"], min_length=1, description="The values of rows that train: [1, 2, 3].")
    validation: list[Value] | None = Field(
        None, min_length=1, description="The values of rows that validate; [validation] if nothing is said."
    )
    test: list[Value] = Field(default=["test"], min_length=1, description="The values of rows that test: [5].")
    validation_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="In place of `validation`: the share of random validation examples among those of `train`, where "
        "the data knows train and test only.",
    )

    @model_validator(mode="after")
    def _apart(self) -> ColumnSplit:
        if self.validation is not None and self.validation_share is not None:
            raise ValueError("validation says which rows validate, and validation_share how many: declare one of them")
        if twice := [name for name, count in Counter(name for name, _ in self._values()).items() if count > 1]:
            raise ValueError(f"{twice} are named more than once in train, validation and test: each value has one part")
        return self

    @property
    def named_by(self) -> str:
        return self.column

    def together(self, rows: int) -> int:
        """Return how many equal rows are copies at most; the validation rows are taken for a tenth if nothing is said.

        Only random validation rows are chosen so that copies stay together: the other splits are as they are declared.
        """
        return rows_together(rows, self.validation_share or 0.1)

    def assign(
        self,
        rows: pa.Table,
        groups: pa.ChunkedArray | None,
        kind: Kind,
        seed: int,
        alike: np.ndarray | None = None,
        named: pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Split as the column says. Raises DataError for rows whose value is in none of the lists."""
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        assert named is not None, "a split by a column is given its values"
        values = pd.Series([None if value is None else _text(value) for value in named.to_pylist()], dtype=object)
        names = values.map(dict(self._values()))
        if unnamed := values.fillna("an empty cell")[names.isna()].value_counts().to_dict():
            raise DataError(self._unnamed({str(value): count for value, count in unnamed.items()}, len(values)))
        split = names.to_numpy(dtype=object)
        if self.validation_share is not None:
            train = np.flatnonzero(split == "train")
            split[train] = random_shares(
                rows.take(train),
                None if groups is None else groups.take(train),
                kind,
                seed,
                None if alike is None else np.unique(alike[train], return_inverse=True)[1],
                validation=self.validation_share,
                test=0.0,
            )
        return rows.append_column("split", pa.array(split, pa.string()))

    def _values(self) -> list[tuple[str, str]]:
        """Return the declared values as texts, each with the name of its split."""
        default = [] if self.validation_share is not None else ["validation"]
        validation = default if self.validation is None else self.validation
        lists = (("train", self.train), ("validation", validation), ("test", self.test))
        return [(_text(value), name) for name, values in lists for value in values]

    def _unnamed(self, counts: dict[str, int], rows: int) -> str:
        shown = ", ".join(f"{value!r} ({count:,} rows)" for value, count in list(counts.items())[:5])
        more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
        return (
            f"examples.split.column {self.column!r}: {sum(counts.values()):,} of {rows:,} rows have a value that is in "
            f"none of train, validation and test: {shown}{more}; the declared ones are "
            f"{[value for value, _ in self._values()]}. Add these values to a list, or leave the rows out with "
            "examples.where"
        )


def _text(value: object) -> str:
    """Return a value as one writes it in a list of the declaration: whole numbers without a point, booleans small."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
