"""Metrics count rows by the columns of the matrix that the declaration names, and by no others."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ml.tasks.counting import EQUALLY, GROUP, Counting, RowGroups, counting, counting_columns
from ml.tasks.row_weights import WEIGHT


@pytest.mark.parametrize(
    ("weights", "ranked_within", "columns"),
    [
        (None, None, []),
        ("balanced", None, []),
        ("amount", None, [WEIGHT]),
        ("balanced", "query", [GROUP]),
        ("amount", "query", [WEIGHT, GROUP]),
    ],
)
def test_what_is_declared_is_read(weights: str | None, ranked_within: str | None, columns: list[str]) -> None:
    declared = SimpleNamespace(weights=weights, ranked_within=ranked_within)
    rows = pd.DataFrame({WEIGHT: [2, 1, 3], GROUP: ["b", "a", "b"]})[columns]

    found = counting(declared, rows)

    assert counting_columns(declared) == columns
    assert (found.weights is None) == (WEIGHT not in columns)
    assert (found.groups is None) == (GROUP not in columns)
    if found.groups is not None:
        assert found.groups.tolist() == [0, 1, 0]


def test_some_of_the_rows_keep_their_weights_and_groups() -> None:
    both = Counting(np.array([1.0, 2.0, 3.0]), np.array([5, 5, 6])).at(np.array([True, False, True]))

    assert both.weights is not None
    assert both.groups is not None
    assert (both.weights.tolist(), both.groups.tolist()) == ([1.0, 3.0], [5, 6])
    assert EQUALLY.at(np.array([0])) == EQUALLY


def test_a_fold_has_the_groups_of_its_own_rows() -> None:
    groups = RowGroups(np.array([1, 1, 2, 3]), np.array([9]))

    fold, sample = groups.fold(np.array([0, 3]), np.array([2])), groups.of_learned(np.array([1, 2]))

    assert (fold.learned.tolist(), fold.watched.tolist()) == ([1, 3], [2])
    assert (sample.learned.tolist(), sample.watched.tolist()) == ([1, 2], [9])
