"""Samples of rows in which no class is lost."""

import numpy as np

from ml.tasks.metrics import Task
from ml.tasks.targets import strata


def sampled_rows(y: np.ndarray, task: Task, rows: int, seed: int) -> np.ndarray:
    """Return ascending positions of at most `rows` rows with about the same shares of classes, of which none is lost.

    Of several targets, y [n_rows, n_targets], the shares are those of the rarest one that is true.

    With the same seed, the rows of a smaller sample are all in a larger one.
    """
    codes_of = np.zeros(len(y)) if task.kind == "regression" else strata(y) if y.ndim == 2 else y
    classes, codes, counts = np.unique(codes_of, return_inverse=True, return_counts=True)
    if rows < max(2, len(classes)):
        raise ValueError(f"`{rows=}` must be at least {max(2, len(classes))}: one row of each class.")
    if rows >= len(y):
        return np.arange(len(y))
    shuffled = np.random.default_rng(seed).permutation(len(y))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)  # of a row in its class
    share = np.where(rank == 0, 0.0, (rank + 0.5) / np.repeat(counts, counts))  # of its class that is drawn before it
    positions: np.ndarray = np.sort(by_class[np.argsort(share, kind="stable")[:rows]])
    return positions
