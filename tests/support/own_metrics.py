"""Metrics of a user's own."""

import numpy as np


def profit(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """What is earned by a call of each row that is more likely than not."""
    called = y_pred >= 0.5
    return float(np.where(y_true == 1, 10, -1)[called].sum() / len(y_true))


profit.greater_is_better = True  # type: ignore[attr-defined]


def shortfall(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> float:
    """By how much numbers are predicted too low, on average."""
    return float(np.average(np.maximum(y_true - y_pred, 0), weights=weights))


shortfall.greater_is_better = False  # type: ignore[attr-defined]


def best_is_right(y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray) -> float:
    """In how many groups the likeliest row is a positive one."""
    of_groups = [groups == group for group in np.unique(groups)]
    return float(np.mean([y_true[rows][y_pred[rows].argmax()] for rows in of_groups]))


best_is_right.greater_is_better = True  # type: ignore[attr-defined]


def endless(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float("inf")


endless.greater_is_better = True  # type: ignore[attr-defined]
most = max  # a builtin without a signature


def spoils(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    y_true[:], y_pred[:] = 0, 0
    return float(y_true.sum())


spoils.greater_is_better = True  # type: ignore[attr-defined]


def raises(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> float:
    raise ZeroDivisionError("division by nothing")


raises.greater_is_better = True  # type: ignore[attr-defined]


def aimless(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    raise AssertionError


def takes_too_little(y_true: np.ndarray) -> float:
    raise AssertionError


def returns_a_text(y_true: np.ndarray, y_pred: np.ndarray) -> str:
    return "good"


returns_a_text.greater_is_better = True  # type: ignore[attr-defined]


def returns_none(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float("nan")


returns_none.greater_is_better = True  # type: ignore[attr-defined]
