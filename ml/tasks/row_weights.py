"""Weights of rows: how much each counts in training, and those of a column in metrics too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

BALANCED = "balanced"
WEIGHT = "example_weight"  # the column of examples and feature matrices that has them


@dataclass(frozen=True)
class RowWeights:
    """The weights of the rows that a model learns from, and of those that its training and its tuning watch.

    Only ratios count: those learned from are 1 on average. A class's weight is no matter of how good an answer is, so
    that `in_metrics` says whether scores go by the weights of rows.
    """

    learned: np.ndarray
    watched: np.ndarray
    in_metrics: bool = True

    @classmethod
    def balanced(cls, y: np.ndarray, y_watched: np.ndarray) -> RowWeights:
        """Return weights by which each class of the labels `y` that are learned from counts the same."""
        counts = np.bincount(y)
        of_class = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return cls(of_class[y], of_class[y_watched], in_metrics=False)

    @classmethod
    def of_rows(cls, learned: np.ndarray, watched: np.ndarray) -> RowWeights:
        """Return the weights of rows, above 0."""
        unit = learned.mean()
        return cls(learned / unit, watched / unit)

    @classmethod
    def declared(
        cls, how: str | None, y: np.ndarray, y_watched: np.ndarray, rows: tuple[pd.DataFrame, pd.DataFrame]
    ) -> RowWeights | None:
        """Return the weights that a declaration wants of rows with these labels: `balanced`, by a column, or None."""
        if how is None:
            return None
        if how == BALANCED:
            return cls.balanced(y, y_watched)
        learned, watched = (frame[WEIGHT].to_numpy(dtype=np.float64) for frame in rows)
        return cls.of_rows(learned, watched)

    def of_learned(self, positions: np.ndarray) -> RowWeights:
        """Return the weights where only some of the rows are learned from."""
        return RowWeights(self.learned[positions], self.watched, self.in_metrics)

    @property
    def scoring(self) -> np.ndarray | None:
        """The weights of the rows that are watched, as scores go by them; None: all count the same."""
        return self.watched if self.in_metrics else None

    def fold(self, y: np.ndarray, learned: np.ndarray, judged: np.ndarray) -> RowWeights:
        """Return the weights of a fold of the rows learned from, labelled `y`, by the places of its own rows."""
        if not self.in_metrics:
            return RowWeights.balanced(y[learned], y[judged])
        return RowWeights.of_rows(self.learned[learned], self.learned[judged])
