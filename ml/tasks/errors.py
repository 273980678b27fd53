"""Errors of numbers: relative ones, those of logarithms, and those that weigh too much and too little apart."""

from collections.abc import Callable

import numpy as np

from ml.tasks.weighted import Weighted, mean_of, squared_errors


def relative_errors(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return differences without their sign as shares of the true numbers, [n_rows]."""
    errors: np.ndarray = np.abs(p - y) / np.abs(y)
    return errors


def zero_targets(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that an error is no share of 0."""
    zeros = int((y == 0).sum())
    return f"{zeros} of {len(y)} true numbers are 0, of which an error is no share" if zeros else None


def rmsle(y: np.ndarray, p: np.ndarray) -> Weighted:
    """Prepare the root of the mean squared difference of log(1 + number)."""
    mean = mean_of(squared_errors)(np.log1p(y), np.log1p(p))
    return lambda weights: np.sqrt(mean(weights))


def without_logarithm(y: np.ndarray, p: np.ndarray) -> str | None:
    """Say that 1 + a number of -1 or less has no logarithm."""
    for name, numbers in (("true numbers", y), ("predictions", p)):
        if wrong := int((numbers <= -1).sum()):
            return f"{wrong} of {len(y)} {name} are -1 or less, and 1 more has no logarithm"
    return None


def pinball_losses(quantile: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function from numbers to losses [n_rows] that are least, on average, where p is that quantile of y."""

    def of_rows(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        losses: np.ndarray = np.where(y >= p, quantile * (y - p), (1 - quantile) * (p - y))
        return losses

    return of_rows
