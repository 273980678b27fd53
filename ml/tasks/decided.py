"""Metrics of decisions: the likeliest class of each row, the likeliest few of a row, the likeliest rows.

As those of `ml.tasks.weighted`, they are functions of the rows' weights, and equal those of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.tasks.weighted import Groups, Prepare, Weighted, most_likely, ratio


class _Counts:
    """Rows by their true and by their likeliest class, of the classes that are either."""

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        self.classes, codes = np.unique(np.concatenate([y.astype(int), most_likely(p)]), return_inverse=True)
        truth, predicted = codes[: len(y)], codes[len(y) :]
        self.by_truth, self.by_prediction = Groups(truth, len(self.classes)), Groups(predicted, len(self.classes))
        self.right = truth == predicted

    def sums(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add up the weights [..., n_rows] by true class, by likeliest class, and where both agree: [..., classes]."""
        return self.by_truth.sums(weights), self.by_prediction.sums(weights), self.by_truth.sums(weights * self.right)


def fbeta(beta: float, *, macro: bool = False) -> Prepare:
    """Return the metric that is F-beta of the positive class, of many classes or as `macro` the mean of all.

    The mean is over those that occur or are predicted; one that never is both has 0.
    """

    def prepare(y: np.ndarray, p: np.ndarray) -> Weighted:
        counts = _Counts(y, p)
        positive = counts.classes == 1

        def weighted(weights: np.ndarray) -> np.ndarray:
            truth, predicted, both = counts.sums(weights)
            whole = beta**2 * truth + predicted
            of_classes = np.divide((1 + beta**2) * both, whole, out=np.zeros(whole.shape), where=whole > 0)
            of_all = ratio(of_classes.sum(axis=-1), (whole > 0).sum(axis=-1))
            return of_all if macro or p.ndim > 1 else of_classes[..., positive].sum(axis=-1)

        return weighted

    return prepare


def balanced_accuracy(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the mean recall of the classes that occur."""
    counts = _Counts(y, p)

    def weighted(weights: np.ndarray) -> np.ndarray:
        truth, _, both = counts.sums(weights)
        recall = np.divide(both, truth, out=np.zeros(truth.shape), where=truth > 0)
        return ratio(recall.sum(axis=-1), (truth > 0).sum(axis=-1))

    return weighted


def mcc(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare Matthews' correlation, of many classes as Gorodkin 2004 has it; 0 where one side has one class."""
    counts = _Counts(y, p)

    def weighted(weights: np.ndarray) -> np.ndarray:
        truth, predicted, both = counts.sums(weights)
        total = truth.sum(axis=-1, keepdims=True)
        together = both.sum(axis=-1) * total[..., 0] - (truth * predicted).sum(axis=-1)
        spreads = [(side * (total - side)).sum(axis=-1) for side in (truth, predicted)]
        apart = np.sqrt(spreads[0] * spreads[1])
        correlation: np.ndarray = np.divide(together, apart, out=np.zeros(np.shape(apart)), where=apart > 0)
        return np.where(total[..., 0] > 0, correlation, np.nan)

    return weighted


def kappa(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare Cohen's kappa: the agreement beyond that of chance; NaN where both are of one class alone."""
    counts = _Counts(y, p)

    def weighted(weights: np.ndarray) -> np.ndarray:
        truth, predicted, both = counts.sums(weights)
        total = truth.sum(axis=-1, keepdims=True)
        beyond_chance = both.sum(axis=-1) * total[..., 0] - (truth * predicted).sum(axis=-1)
        return ratio(beyond_chance, (truth * (total - predicted)).sum(axis=-1))

    return weighted


def no_other_class(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that there is no agreement beyond chance where all rows are, and are predicted to be, of one class."""
    alone = len(np.unique(np.concatenate([y.astype(int), most_likely(p)]))) == 1
    return f"all {len(y)} rows are of one class, and predicted to be" if alone else None


def top_hits(k: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that tells, [n_rows], where the true class is among the `k` likeliest, of equals the last."""

    def hits(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        likeliest = np.argsort(p, axis=1, kind="stable")[:, -k:]
        among: np.ndarray = (likeliest == y.astype(int)[:, None]).any(axis=1)
        return among

    return hits


def too_few_classes(k: int) -> Callable[[np.ndarray, np.ndarray], str | None]:
    """Return the function that says that each class is among the `k` likeliest where there are no more."""

    def problem(y: np.ndarray, p: np.ndarray) -> str | None:
        return f"each of {p.shape[1]} classes is among the {k} likeliest" if p.shape[1] <= k else None

    return problem


def precision_at(k: float) -> Prepare:
    """Return the metric that is the share of positives among the `k` likeliest rows, or among a share `k` of them.

    Of rows that are equally likely, each counts by the same part. Of weighted rows those count that together have the
    same share of all weight.
    """

    def prepare(y: np.ndarray, p: np.ndarray) -> Weighted:
        share = k if k < 1 else k / len(y)
        order = np.argsort(-p, kind="stable")
        _, starts = np.unique(-p[order], return_index=True)
        positive = (y[order] == 1).astype(np.float64)

        def weighted(weights: np.ndarray) -> np.ndarray:
            ranked = np.take(weights, order, axis=-1)
            tied = np.add.reduceat(ranked, starts, axis=-1)
            hits = np.add.reduceat(ranked * positive, starts, axis=-1)
            wanted = share * tied.sum(axis=-1, keepdims=True)
            taken = np.clip(wanted - (np.cumsum(tied, axis=-1) - tied), 0, tied)
            of_tie = np.divide(hits, tied, out=np.zeros(tied.shape), where=tied > 0)
            return ratio((taken * of_tie).sum(axis=-1), wanted[..., 0])

        return weighted

    return prepare


def too_few_rows(k: float) -> Callable[[np.ndarray, np.ndarray], str | None]:
    """Return the function that says that there are fewer than `k` rows."""

    def problem(y: np.ndarray, p: np.ndarray) -> str | None:
        return f"there are {len(y)} rows, fewer than {k:g}" if len(y) < k else None

    return problem
