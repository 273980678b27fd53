"""Shapley values of weighted columns: the weight of a value less the mean of those of the background."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from service.explain.document import Linear, unpack

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


class WeightedColumns:
    """Weights over encoded rows; `players` has the player that each encoded column belongs to."""

    def __init__(self, linear: Linear, players: NDArray[np.int64]) -> None:
        self._fill = unpack(linear.fill, np.float64)
        self._weights = unpack(linear.weights, np.float64).reshape(linear.outputs, -1)
        self._levels = unpack(linear.levels, np.float64).reshape(linear.outputs, -1)
        self._begin = np.array([0, *accumulate(linear.sizes)][:-1], np.int64)
        self._players = players

    def values(self, X: Matrix, output: int) -> Floats:
        """Return what the columns add to an output, [n_rows]."""
        added: Floats = self._columns(X, output).sum(axis=1)
        return added

    def shapley(
        self, x: Matrix, background: Matrix, output: int, players: int, deadline: float | None = None
    ) -> Floats:
        """Return what each player adds to an output for a row x [n_columns], [players]."""
        added = self._columns(x[None], output)[0] - self._columns(background, output).mean(axis=0)
        shared: Floats = np.bincount(self._players, added, players).astype(np.float64)
        return shared

    def _columns(self, X: Matrix, output: int) -> Floats:
        """Return what each column of X [n_rows, n_columns] adds, of the same shape."""
        numbers = X[:, : len(self._fill)].astype(np.float64)
        codes = X[:, len(self._fill) :]
        missing = np.isnan(codes)
        places = np.where(missing, 0, codes).astype(np.int64) + self._begin
        levels = np.where(missing, 0.0, self._levels[output][places]) if len(self._begin) else np.empty((len(X), 0))
        weighted = np.where(np.isnan(numbers), self._fill, numbers) * self._weights[output]
        return np.concatenate([weighted, levels], axis=1)
