"""Drift: the distance of a column's distribution in another split from that in training."""

import numpy as np

from ml.profile.columns import Column
from ml.profile.distribution import most_frequent
from ml.profile.record import Drift

TEXTS = 20  # of the training rows, the most frequent ones; all others are one
EXACT = 1000  # rows up to which the p-value of Kolmogorov and Smirnov is exact, which takes the square of them


def drift(column: Column, train: np.ndarray, other: np.ndarray) -> Drift | None:
    """Compare the values at some positions with those of training rows; None where one side has no value."""
    return (
        _of_texts(column, train, other) if column.is_text else _of_numbers(column.values[train], column.values[other])
    )


def _of_numbers(train: np.ndarray, other: np.ndarray) -> Drift | None:
    """Compare numbers; of many rows the p-value is that of Kolmogorov's limit, for ks_2samp takes long to better it."""
    from scipy.special import kolmogorov
    from scipy.stats import ks_2samp

    train, other = np.sort(train[~np.isnan(train)]), np.sort(other[~np.isnan(other)])
    if not (len(train) and len(other)):
        return None
    if max(len(train), len(other)) <= EXACT:
        test = ks_2samp(train, other, method="exact")
        return Drift(distance=float(test.statistic), p_value=float(test.pvalue))
    at = np.concatenate([train, other])
    shares = [np.searchsorted(part, at, side="right") / len(part) for part in (train, other)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return Drift(distance=distance, p_value=float(kolmogorov(distance / (1 / len(train) + 1 / len(other)) ** 0.5)))


def _of_texts(column: Column, train: np.ndarray, other: np.ndarray) -> Drift | None:
    from scipy.stats import chi2_contingency

    there, there_too = train[~column.missing[train]], other[~column.missing[other]]
    if not (len(there) and len(there_too)):
        return None
    place = np.full(len(column.labels), TEXTS)
    first = most_frequent(column, train, TEXTS)
    place[first] = np.arange(len(first))
    counts = np.array(
        [np.bincount(place[column.values[rows]], minlength=TEXTS + 1) for rows in (there, there_too)], dtype=float
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    some = counts[:, counts.sum(axis=0) > 0]
    return Drift(
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2),
        p_value=float(chi2_contingency(some).pvalue) if some.shape[1] > 1 else 1.0,
    )


def unseen(column: Column, train: np.ndarray, other: np.ndarray) -> float:
    """Return the share of some rows with a text that no training row has; 0 of numbers."""
    codes = column.values[other]
    if not column.is_text or len(other) == 0:
        return 0.0
    seen = np.zeros(len(column.labels) + 1, dtype=bool)
    seen[column.values[train]] = True
    seen[-1] = True  # a missing one is no text
    return float((~seen[codes]).mean())
