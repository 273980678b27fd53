"""The metrics as functions of the rows' weights: a bootstrap asks them hundreds of times, so all else is done once.

A `Prepare` takes labels y [n_rows] and predictions p, [n_rows] or [n_rows, n_classes], and gives a function of weights
[n_rows]. That gives NaN where the rows of positive weight leave the metric undefined, as one class alone does the ROC.
"""

from collections.abc import Callable

import numpy as np

Weighted = Callable[[np.ndarray], float]
Prepare = Callable[[np.ndarray, np.ndarray], Weighted]


def mean_of(of_rows: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Prepare:
    """The mean of what each row has by itself."""

    def prepare(y: np.ndarray, p: np.ndarray) -> Weighted:
        values = of_rows(y, p)
        return lambda weights: float(np.average(values, weights=weights))

    return prepare


def log_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The negative logarithm of what the true class was given, [n_rows]; clipped as scikit-learn does."""
    given = np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y.astype(int)]
    eps = np.finfo(np.float64).eps
    losses: np.ndarray = -np.log(np.clip(given.astype(np.float64), eps, 1 - eps))
    return losses


def brier_losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The squared distance to the truth, [n_rows]; of many classes, summed over them and halved, as for two."""
    if p.ndim == 1:
        return squared_errors(y, p)
    losses: np.ndarray = np.sum((p - np.eye(p.shape[1])[y.astype(int)]) ** 2, axis=1) / 2
    return losses


def hits(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Whether the likeliest class is the true one, [n_rows]."""
    found: np.ndarray = most_likely(p) == y
    return found


def squared_errors(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Squared differences, [n_rows]."""
    errors: np.ndarray = (p - y) ** 2
    return errors


def absolute_errors(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Differences without their sign, [n_rows]."""
    errors: np.ndarray = np.abs(p - y)
    return errors


def most_likely(p: np.ndarray) -> np.ndarray:
    """The code of the likeliest class of each row, int [n_rows]; of two, 1 from a probability of 0.5 on."""
    return (p >= 0.5).astype(int) if p.ndim == 1 else p.argmax(axis=1)


def rmse(y: np.ndarray, p: np.ndarray) -> Weighted:
    """The root of the mean squared error."""
    mean = mean_of(squared_errors)(y, p)
    return lambda weights: float(np.sqrt(mean(weights)))


def r2(y: np.ndarray, p: np.ndarray) -> Weighted:
    """The share of the variance that is explained."""
    errors, truth = squared_errors(y, p), y.astype(np.float64)

    def weighted(weights: np.ndarray) -> float:
        spread = float(weights @ (truth - np.average(truth, weights=weights)) ** 2)
        return 1 - float(weights @ errors) / spread if spread > 0 else float("nan")

    return weighted


def f1_macro(y: np.ndarray, p: np.ndarray) -> Weighted:
    """The mean F1 of the classes that occur or are predicted; 0 for one that never is both."""
    classes, codes = np.unique(np.concatenate([y.astype(int), most_likely(p)]), return_inverse=True)
    truth, said = codes[: len(y)], codes[len(y) :]

    def weighted(weights: np.ndarray) -> float:
        total = np.bincount(truth, weights, len(classes)) + np.bincount(said, weights, len(classes))
        both = np.bincount(truth, weights * (truth == said), len(classes))
        return float(np.mean(np.divide(2 * both, total, out=np.zeros(len(classes)), where=total > 0)))

    return weighted


def roc_auc(y: np.ndarray, p: np.ndarray) -> Weighted:
    """The area under the ROC curve; of many classes, the mean of each that occurs against the rest.

    Fawcett 2006, An introduction to ROC analysis, Pattern Recognition Letters 27.
    """
    if p.ndim == 1:
        return _Ranked(y, p).roc_auc
    ranked = [_Ranked(y == code, p[:, code]) for code in np.unique(y.astype(int))]

    def weighted(weights: np.ndarray) -> float:
        areas = np.array([each.roc_auc(weights) for each in ranked])
        known = areas[~np.isnan(areas)]
        return float(known.mean()) if len(known) else float("nan")

    return weighted


def average_precision(y: np.ndarray, p: np.ndarray) -> Weighted:
    """The mean of the precision at each threshold, weighted by the recall that it adds."""
    return _Ranked(y, p).average_precision


class _Ranked:
    """Rows of two classes in the order of their scores, the highest first."""

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        self.order = np.argsort(-p, kind="stable")
        self.positive = y[self.order].astype(np.float64)
        self.last_of_tie = np.flatnonzero(np.append(np.diff(p[self.order]) != 0, True))

    def roc_auc(self, weights: np.ndarray) -> float:
        hits, misses = self._above(weights)
        total = hits[-1] * misses[-1]
        return float(np.trapezoid(hits, misses) / total) if total > 0 else float("nan")

    def average_precision(self, weights: np.ndarray) -> float:
        hits, misses = self._above(weights)
        if hits[-1] == 0:
            return float("nan")
        precision = hits[1:] / np.maximum(hits[1:] + misses[1:], 1e-300)
        return float(np.sum(np.diff(hits) / hits[-1] * precision))

    def _above(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weight of positive and of negative rows at or above each threshold, 0 in front."""
        weights = weights[self.order]
        hits = np.cumsum(weights * self.positive)[self.last_of_tie]
        misses = np.cumsum(weights * (1 - self.positive))[self.last_of_tie]
        return np.append(0.0, hits), np.append(0.0, misses)
