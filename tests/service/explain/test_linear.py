"""Shapley values of weighted columns, against all coalitions."""

from __future__ import annotations

import numpy as np
import pytest

from ml.exported.explainer import _linear
from ml.models.additive import WeightedColumns as Declared
from service.explain.linear import WeightedColumns
from tests.service.explain.test_trees import brute_force

PLAYERS = [0, 1, 1, 2, 3]  # two numbers and one that has two, a category, and another


def weighted() -> WeightedColumns:
    rng = np.random.default_rng(0)
    sizes = (3, 2)
    declared = Declared(np.array([0.5, 0.0, 0.0]), rng.normal(size=(2, 3)), sizes, rng.normal(size=(2, sum(sizes))))
    return WeightedColumns(_linear(declared), np.array(PLAYERS))


def rows(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(count, 3)), rng.integers(0, [3, 2], size=(count, 2))], axis=1)
    X[rng.random(X.shape) < 0.2] = np.nan
    return X.astype(np.float32)


@pytest.mark.parametrize("output", [0, 1])
def test_values_are_those_of_all_coalitions(output: int) -> None:
    columns, X = weighted(), rows(12)

    for x in X[:4]:
        values = columns.shapley(x, X[4:], output, 4)

        assert values == pytest.approx(brute_force(lambda Z: columns.values(Z, output), x, X[4:], PLAYERS), abs=1e-9)
        gained = columns.values(x[None], output)[0] - columns.values(X[4:], output).mean()
        assert values.sum() == pytest.approx(gained, abs=1e-9)


def test_a_missing_number_has_the_weight_of_its_fill_and_a_missing_code_none() -> None:
    columns, known = weighted(), np.array([[0.5, 1, 1, 2, 1]], np.float32)
    filled, without = known.copy(), known.copy()
    filled[0, 0] = np.nan
    without[0, 3] = np.nan

    assert columns.values(filled, 0) == columns.values(known, 0)
    assert columns.values(without, 0) == pytest.approx(columns.values(known, 0) - columns._levels[0, 2])


def test_columns_may_all_be_numbers_or_all_categories() -> None:
    numbers = Declared(np.zeros(2), np.array([[1.0, 2.0]]), (), np.empty((1, 0)))
    codes = Declared(np.empty(0), np.empty((1, 0)), (2,), np.array([[1.0, 5.0]]))

    of_numbers, of_codes = (WeightedColumns(_linear(one), np.arange(n)) for one, n in ((numbers, 2), (codes, 1)))

    assert of_numbers.values(np.array([[3, 4]], np.float32), 0).tolist() == [11]
    assert of_codes.values(np.array([[1], [0]], np.float32), 0).tolist() == [5, 1]
