"""Answers that are none: predictions that are no finite numbers, or of classes no probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ml.tasks.task import Task

OFF = 1e-4  # how far probabilities may lie outside of 0 to 1, and their sum beside 1: float32 rounds


def rows_not_finite(p: np.ndarray) -> int:
    """Count the rows of predictions [n_rows] or [n_rows, n_classes] that are not all finite numbers."""
    wrong = ~np.isfinite(p)
    return int((wrong if wrong.ndim == 1 else wrong.any(axis=1)).sum())


def rows_unanswered(p: np.ndarray, task: Task) -> int:
    """Count the rows of predictions that are no finite numbers, or of classes no probabilities, which sum to 1."""
    if task.kind == "regression":
        return rows_not_finite(p)
    outside = ~((p >= -OFF) & (p <= 1 + OFF))  # also of NaN
    if p.ndim == 1:
        return int(outside.sum())
    if task.targets:
        return int(outside.any(axis=1).sum())
    with np.errstate(invalid="ignore", over="ignore"):
        return int((outside.any(axis=1) | ~(np.abs(p.sum(axis=1) - 1) <= OFF)).sum())
