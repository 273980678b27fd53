"""The metrics as functions of the rows' weights: a bootstrap asks them hundreds of times, so all else is done once.

A `Prepare` takes labels y [n_rows] and predictions p, [n_rows] or [n_rows, n_classes], and gives a function of weights
[..., n_rows], as many values at once as there are weights in front: [...]. A value is NaN where the rows of positive
weight leave the metric undefined, as one class alone does the ROC. No sum goes through BLAS, whose threads would decide
its last digits.
"""

from collections.abc import Callable, Sequence

import numpy as np

Weighted = Callable[[np.ndarray], np.ndarray]
Prepare = Callable[[np.ndarray, np.ndarray], Weighted]


def mean_of(of_rows: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Prepare:
    """Return the metric that is the mean of what each row has by itself."""

    def prepare(y: np.ndarray, p: np.ndarray) -> Weighted:
        values = of_rows(y, p).astype(np.float64)
        return lambda weights: ratio((weights * values).sum(axis=-1), weights.sum(axis=-1))

    return prepare


def mean_over(metrics: Sequence[Weighted]) -> Weighted:
    """Return the mean of those of some metrics that are defined; NaN where none is."""

    def weighted(weights: np.ndarray) -> np.ndarray:
        values = np.array([metric(weights) for metric in metrics])
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))

    return weighted


def log_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the negative logarithm of the true class's probability, [n_rows]; clipped as scikit-learn does."""
    of_truth = np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y.astype(int)]
    eps = np.finfo(np.float64).eps
    losses: np.ndarray = -np.log(np.clip(of_truth.astype(np.float64), eps, 1 - eps))
    return losses


def brier_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the squared distance to the truth, [n_rows]; of many classes, summed over them and halved, as for two."""
    if p.ndim == 1:
        return squared_errors(y, p)
    losses: np.ndarray = np.sum((p - np.eye(p.shape[1])[y.astype(int)]) ** 2, axis=1) / 2
    return losses


def hits(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return True where the likeliest class is the true one, [n_rows]."""
    right: np.ndarray = most_likely(p) == y
    return right


def squared_errors(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return squared differences, [n_rows]."""
    errors: np.ndarray = (p - y) ** 2
    return errors


def absolute_errors(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return differences without their sign, [n_rows]."""
    errors: np.ndarray = np.abs(p - y)
    return errors


def most_likely(p: np.ndarray) -> np.ndarray:
    """Return the code of the likeliest class of each row, int [n_rows]; of two, 1 from a probability of 0.5 on."""
    return (p >= 0.5).astype(int) if p.ndim == 1 else p.argmax(axis=1)


def rmse(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the root of the mean squared error."""
    mean = mean_of(squared_errors)(y, p)
    return lambda weights: np.sqrt(mean(weights))


def r2(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the share of the variance that is explained."""
    errors, truth = squared_errors(y, p), y.astype(np.float64)

    def weighted(weights: np.ndarray) -> np.ndarray:
        mean = (weights * truth).sum(axis=-1, keepdims=True) / weights.sum(axis=-1, keepdims=True)
        spread = (weights * (truth - mean) ** 2).sum(axis=-1)
        return 1 - ratio((weights * errors).sum(axis=-1), spread)

    return weighted


class Groups:
    """Rows by the codes 0 to `groups` - 1 that they have, [n_rows]."""

    def __init__(self, codes: np.ndarray, groups: int) -> None:
        self.order, self.groups = np.argsort(codes, kind="stable"), groups
        self.present, self.starts = np.unique(codes[self.order], return_index=True)

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """Add up the weights [..., n_rows] in each group: [..., groups]."""
        sums = np.zeros((*weights.shape[:-1], self.groups))
        sums[..., self.present] = np.add.reduceat(np.take(weights, self.order, axis=-1), self.starts, axis=-1)
        return sums


def one_class(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that nothing is ranked where all rows are of one class."""
    return f"all {len(y)} rows are of one class" if len(np.unique(y)) == 1 else None


def no_positive(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that there is no recall where no row is positive."""
    return None if (y == 1).any() else f"none of {len(y)} rows is positive"


def no_variance(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that there is no variance to explain where all numbers are the same."""
    return f"all {len(y)} true numbers are the same" if len(np.unique(y)) == 1 else None


def roc_auc(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the area under the ROC curve; of many classes, the mean of each that occurs against the rest.

    Fawcett 2006, An introduction to ROC analysis, Pattern Recognition Letters 27.
    """
    if p.ndim == 1:
        return _Ranked(y, p).roc_auc
    return mean_over([_Ranked(y == code, p[:, code]).roc_auc for code in np.unique(y.astype(int))])


def average_precision(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the mean of the precision at each threshold, weighted by the recall that it adds."""
    return _Ranked(y, p).average_precision


class _Ranked:
    """Rows of two classes in the order of their scores, the highest first.

    Both curves rise only where positive rows are, so that values at the scores of these are enough.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        self.order = np.argsort(-p, kind="stable")
        self.positive = np.flatnonzero(y[self.order] == 1)
        _, first, tie = np.unique(-p[self.order], return_index=True, return_inverse=True)
        ties, last = np.unique(tie[self.positive], return_index=True)
        self.last = np.append(last, len(self.positive))[1:] - 1  # of the positive rows in each tie
        self.before, self.until = first[ties], np.append(first, len(p))[ties + 1]

    def roc_auc(self, weights: np.ndarray) -> np.ndarray:
        above, hits, gained = self._climb(weights)
        positive = gained.sum(axis=-1)
        negative = above[..., -1] - positive
        passed = (above[..., self.before] + above[..., self.until] - 2 * hits + gained) / 2
        area = (gained * (negative[..., None] - passed)).sum(axis=-1)
        return ratio(area, positive * negative)

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        above, hits, gained = self._climb(weights)
        precision = hits / np.maximum(above[..., self.until], 1e-300)
        return ratio((gained * precision).sum(axis=-1), gained.sum(axis=-1))

    def _climb(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add up the weights from the highest score down.

        Returns the weight above each row [..., n_rows + 1], that of the positive rows down to the end of each tie that
        has some [..., n_ties], and how much of it came in this tie.
        """
        ranked = np.take(weights, self.order, axis=-1)
        above = np.zeros((*weights.shape[:-1], len(self.order) + 1))
        np.cumsum(ranked, axis=-1, out=above[..., 1:])
        hits = np.cumsum(ranked[..., self.positive], axis=-1)[..., self.last]
        return above, hits, np.diff(hits, prepend=0.0)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide a part by the whole; NaN where there is nothing to take a part of."""
    whole = np.asarray(whole, dtype=np.float64)
    shares: np.ndarray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares
