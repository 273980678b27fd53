"""A split by two dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ml.declaration.part import Duration, duration
from ml.declaration.splits.kind import SplitKind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from ml.tasks.folds import Fold
    from ml.tasks.task import Kind, Task


class DatesSplit(SplitKind):
    """By two dates: what is asked early trains, what is asked last tests."""

    keys = ("train_until", "validate_until")
    in_order_of_time = True
    folded_by = ("cutoff",)

    train_until: date = Field(description="Examples whose cutoff lies before this day train.")
    validate_until: date = Field(description="Examples from train_until to before this day validate; later ones test.")
    embargo: Duration | None = Field(
        None,
        description="How far a target looks ahead, such as 60d: examples whose cutoff lies less than this before "
        "train_until or validate_until are left out, for what decides them happens among the rows of the next part.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> DatesSplit:
        if self.train_until >= self.validate_until:
            raise ValueError(f"train_until ({self.train_until}) must lie before validate_until ({self.validate_until})")
        return self

    @property
    def lead(self) -> str | None:
        return self.embargo

    @property
    def _gap(self) -> timedelta:
        return duration(self.embargo) if self.embargo else timedelta(0)

    def mistakes(self, timed: bool) -> Iterator[str]:
        if not timed:
            yield "a split by dates needs examples.cutoff"

    def assign(
        self,
        rows: pa.Table,
        groups: pa.ChunkedArray | None,
        kind: Kind,
        seed: int,
        alike: np.ndarray | None = None,
        named: pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Split by the cutoff; a row whose target looks beyond the end of its own split is in none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        borders = [datetime.combine(day, time()) for day in (self.train_until, self.validate_until)]
        first, last = (pa.scalar(border, pa.timestamp("us")) for border in borders)
        cutoff = rows["cutoff"]
        split = pc.if_else(pc.less(cutoff, first), "train", pc.if_else(pc.less(cutoff, last), "validation", "test"))
        rows = rows.append_column("split", split)
        if self.embargo is None:
            return rows
        for name, border in zip(("train", "validation"), borders, strict=True):
            late = pc.greater_equal(rows["cutoff"], pa.scalar(border - self._gap, pa.timestamp("us")))
            rows = rows.filter(pc.invert(pc.and_(pc.equal(rows["split"], name), late)))
        return rows

    def folds(
        self,
        rows: pd.DataFrame,
        y: np.ndarray,
        task: Task,
        count: int,
        seed: int,
        groups: np.ndarray | None,
        may_share: bool,
    ) -> list[Fold]:
        """Return expanding windows of time; a group may be in two of them where it may be in two splits."""
        from ml.tasks.folds import time_folds

        return time_folds(rows["cutoff"], y, task, count, self._gap, None if may_share else groups)

    def has_seen(self, rows: pd.DataFrame, learned: Callable[[], pd.DataFrame]) -> np.ndarray:
        """Return which rows do not lie behind the last date."""
        later: np.ndarray = (rows["cutoff"] >= datetime.combine(self.validate_until, time())).to_numpy()
        return ~later
