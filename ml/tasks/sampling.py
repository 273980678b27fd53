"""Samples of rows in which no class is lost."""

import numpy as np

from ml.tasks.targets import strata
from ml.tasks.task import Task


def sampled_rows(y: np.ndarray, task: Task, rows: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return ascending positions of at most `rows` rows with about the same shares of classes, of which none is lost.

    Of several targets, y [n_rows, n_targets], the shares are those of the rarest class of any that a row has.

    With the same seed, the rows of a smaller sample are all in a larger one. With `groups`, the number of each row's
    group, these are drawn as wholes, those first that have a class which no earlier one has: so much of them as that
    needs may be more than `rows`.
    """
    codes_of = np.zeros(len(y)) if task.kind == "regression" else strata(y) if y.ndim == 2 else y
    classes, codes, counts = np.unique(codes_of, return_inverse=True, return_counts=True)
    if rows < max(2, len(classes)):
        raise ValueError(f"`{rows=}` must be at least {max(2, len(classes))}: one row of each class.")
    if rows >= len(y):
        return np.arange(len(y))
    if groups is not None:
        return _sampled_groups(codes, rows, seed, groups)
    shuffled = np.random.default_rng(seed).permutation(len(y))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)  # of a row in its class
    share = np.where(rank == 0, 0.0, (rank + 0.5) / np.repeat(counts, counts))  # of its class that is drawn before it
    positions: np.ndarray = np.sort(by_class[np.argsort(share, kind="stable")[:rows]])
    return positions


def _sampled_groups(codes: np.ndarray, rows: int, seed: int, groups: np.ndarray) -> np.ndarray:
    """Return ascending positions of the rows of whole groups, of which the first have each of the classes `codes`."""
    distinct, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(distinct))
    place = np.empty(len(distinct), dtype=int)
    place[drawn] = np.arange(len(distinct))
    order = np.argsort(place[numbers], kind="stable")
    needed = np.unique(place[numbers[order[np.unique(codes[order], return_index=True)[1]]]])
    drawn = drawn[[*needed, *np.setdiff1d(np.arange(len(drawn)), needed)]]
    most = max(len(needed), int(np.searchsorted(np.cumsum(sizes[drawn]), rows, side="right")))
    positions: np.ndarray = np.flatnonzero(np.isin(numbers, drawn[:most]))
    return positions
