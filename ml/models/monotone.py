"""The proof that answers follow the features that they are to follow, by asking for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml.models.family import thresholds_of

if TYPE_CHECKING:
    from ml.models.family import FittedModel, Training

ROWS, STEPS = 40, 60  # that are asked about: validation rows, and values of a feature in each of them
SLACK = 1e-7  # of the answers' unit: libraries add up in float32


def require_monotone(model: FittedModel, data: Training) -> None:
    """Raise ArithmeticError, which names feature and values, where an answer does not follow a monotone feature.

    Validation rows are asked about with other values of it: some that it has, and some right where the model's answers
    jump. Where no feature is to be followed the model is not asked: to read the jumps of many trees takes half as long
    as to grow them.
    """
    if not any(data.directions):
        return
    rows = data.X_valid[np.linspace(0, len(data.X_valid) - 1, min(ROWS, len(data.X_valid)), dtype=int)]
    jumps, slack = thresholds_of(model), SLACK * data.task.unit(data.y)
    for column, way in enumerate(data.directions):
        values = _values(data.X[:, column], jumps.get(column, np.empty(0, np.float32))) if way else np.empty(0)
        if len(values) < 2:
            continue
        varied = np.repeat(rows, len(values), axis=0)
        varied[:, column] = np.tile(values, len(rows))
        steps = np.diff(model.predict(varied).reshape(len(rows), len(values)), axis=1) * way
        if steps.min() < -slack:
            worst = int(steps.argmin()) % steps.shape[1]
            wrong, declared = ("falls", "increasing") if way > 0 else ("rises", "decreasing")
            raise ArithmeticError(
                f"the answer {wrong} by {-steps.min():.4g} as {data.encoder.features[column]!r} rises from "
                f"{values[worst]:g} to {values[worst + 1]:g}, though it is declared {declared}"
            )


def _values(column: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Return ascending values to ask about: of the column, and of jumps each with the next one above."""
    known = np.unique(column[~np.isnan(column)])
    of_column, at = _some(known, STEPS // 2), _some(jumps[np.isfinite(jumps)], STEPS // 4)
    values: np.ndarray = np.unique(np.concatenate([of_column, at, np.nextafter(at, np.float32(np.inf))]))
    return values


def _some(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the values, evenly."""
    some: np.ndarray = values[np.linspace(0, len(values) - 1, min(most, len(values)), dtype=int)]
    return some
