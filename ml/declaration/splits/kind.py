"""The base of every kind of split: it says who trains, how rows are folded, and which rows a model has seen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ml.declaration.kinds import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from ml.tasks.folds import Fold
    from ml.tasks.task import Kind as TaskKind
    from ml.tasks.task import Task


class SplitKind(Kind):
    """A way to divide examples into train, validation and test."""

    recorded = ("train_until", "validate_until", "embargo", "validation_share", "test_share", "group")
    in_order_of_time: ClassVar[bool] = False
    """Whether all rows of a split are asked before those of the next."""
    folded_by: ClassVar[tuple[str, ...]] = ()
    """The columns of the examples that say which rows are in a fold."""

    group: str | None = Field(
        None,
        description="A column of the examples' table, such as a customer, whose values may not be in two splits: "
        "random shares are then those of whole groups, not of each class, and a split by dates is checked. If nothing "
        "else is said, a random split keeps equal rows together, and those of a query's key or of `ranked_within`.",
    )

    @property
    def named_by(self) -> str | None:
        """The column of the examples' table whose values say in which split a row is; None: no column does."""
        return None

    @property
    def lead(self) -> str | None:
        """The duration, such as 60d, by which each row is asked before the next split begins; None: just before."""
        return None

    def grouped(self, repeated: bool) -> bool:
        """Return whether rows belong to groups that may not be in two splits; `repeated`: a key may have many rows."""
        return self.group is not None

    def mistakes(self, timed: bool) -> Iterator[str]:
        """Yield the reasons why these examples, which have cutoffs if they are `timed`, cannot be split so."""
        yield from ()

    @abstractmethod
    def assign(
        self,
        rows: pa.Table,
        groups: pa.ChunkedArray | None,
        kind: TaskKind,
        seed: int,
        alike: np.ndarray | None = None,
        named: pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Return rows (key, cutoff, target) with the column `split`, without those that are in none, in their order.

        `groups` [n_rows] are not to be divided, null where a row belongs to none; `kind` is that of the task. Rows with
        the same number in `alike` [n_rows] are equal. `named` [n_rows] are the values of the column `named_by`.
        """

    def together(self, rows: int) -> int:
        """Return how many equal rows are kept in one split at most, of so many; more are not odd."""
        return 0

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
        """Return folds of training rows, of which there are `folded_by`, the labels and the numbers of their groups.

        They are shuffled, of whole groups where there are any, unless the kind of split has an order. With `may_share`
        the audit only warns of groups in two splits. Raises FoldError where rows or classes are too few.
        """
        from ml.tasks.folds import random_folds

        return random_folds(y, task, count, seed, groups)

    def has_seen(self, rows: pd.DataFrame, learned: Callable[[], pd.DataFrame]) -> np.ndarray:
        """Return which rows (key and cutoff) a model has seen that was trained by this split, [n_rows] of booleans.

        `learned` makes the keys of train and validation by the split that today's tables give, in which a few rows next
        to a border may have changed sides.
        """
        import pandas as pd

        keys = learned()
        seen: np.ndarray = pd.MultiIndex.from_frame(rows[list(keys.columns)]).isin(pd.MultiIndex.from_frame(keys))
        return seen
