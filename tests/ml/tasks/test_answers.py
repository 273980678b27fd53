"""Answers that are no numbers, or no probabilities, are counted by rows."""

from typing import Any

import numpy as np
import pytest

from ml.tasks.answers import rows_not_finite, rows_unanswered
from ml.tasks.task import Kind, Task


def test_rows_are_counted_of_which_an_answer_is_no_finite_number() -> None:
    assert rows_not_finite(np.array([0.0, np.nan, np.inf])) == 2
    assert rows_not_finite(np.array([[0.5, 0.5], [np.nan, np.nan], [0.5, -np.inf]])) == 2
    assert rows_not_finite(np.empty(0)) == 0


@pytest.mark.parametrize(
    ("kind", "p", "rows"),
    [
        ("binary", [0.0, 1.0, 1 + 1e-7, -1e-7, 0.5], 0),
        ("binary", [0.5, 1.7, -0.2, 1e300, np.nan, np.inf, -np.inf], 6),
        ("multiclass", [[0.3, 0.7], [0.3, 0.7 + 1e-6], [1.0, 0.0]], 0),
        ("multiclass", [[0.6, 0.8], [-0.5, 1.5], [0.0, 0.0], [np.nan, 1.0], [np.inf, -np.inf], [0.5, 0.5]], 5),
        ("regression", [1e300, -5.0, np.nan], 1),
    ],
)
def test_rows_are_counted_that_are_answered_with_no_number_or_no_probability(kind: Kind, p: Any, rows: int) -> None:
    assert rows_unanswered(np.array(p), Task(kind)) == rows
