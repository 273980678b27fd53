"""The counting of rows by metrics: how much each counts, and among which others it is ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from ml.tasks.row_weights import BALANCED, WEIGHT

GROUP = "example_group"  # the column of examples and feature matrices that says among which others a row is ranked


class Declared(Protocol):
    """The parts of a declaration of examples that metrics count rows by."""

    @property
    def weights(self) -> str | None: ...
    @property
    def ranked_within(self) -> str | None: ...


@dataclass(frozen=True)
class Counting:
    """The weights of rows [n_rows], and the numbers of the groups [n_rows] within which they are ranked.

    Without weights all rows count the same. Where there are groups, they are what is drawn and sampled, as wholes.
    """

    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Counting:
        """Return the counting of some rows, by their positions or a mask."""
        return Counting(*(None if part is None else part[rows] for part in (self.weights, self.groups)))


EQUALLY = Counting()


@dataclass(frozen=True)
class RowGroups:
    """The numbers of the groups of the rows that a model learns from, and of those that its training watches."""

    learned: np.ndarray
    watched: np.ndarray

    def of_learned(self, positions: np.ndarray) -> RowGroups:
        """Return the groups where only some of the rows are learned from."""
        return RowGroups(self.learned[positions], self.watched)

    def fold(self, learned: np.ndarray, judged: np.ndarray) -> RowGroups:
        """Return the groups of a fold of the rows learned from, by the places of its own rows."""
        return RowGroups(self.learned[learned], self.learned[judged])


def counting_columns(declared: Declared) -> list[str]:
    """Return the columns of a feature matrix that say how metrics count its rows."""
    weights = [] if declared.weights in (None, BALANCED) else [WEIGHT]
    return weights + ([] if declared.ranked_within is None else [GROUP])


def counting(declared: Declared, rows: pd.DataFrame) -> Counting:
    """Return how metrics count the rows of a feature matrix, as declared."""
    columns = counting_columns(declared)
    return Counting(
        rows[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in columns else None,
        group_numbers(rows) if GROUP in columns else None,
    )


def group_numbers(rows: pd.DataFrame) -> np.ndarray:
    """Return the number of the group that each row of a feature matrix is ranked within, int [n_rows]."""
    return pd.factorize(rows[GROUP])[0]
