"""Associations of columns against scipy, sklearn and pandas."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from scipy.stats.contingency import association
from sklearn.linear_model import LinearRegression

from ml.profile.association import Associations, in_blocks
from tests.support.profiled import column_of

ROWS = 400
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=ROWS)
GROUP = RANDOM.choice(["a", "b", "c"], ROWS)
OTHER = np.where(RANDOM.random(ROWS) < 0.7, GROUP, RANDOM.choice(["u", "v"], ROWS))


def associated(columns: Sequence[Any]) -> np.ndarray:
    named = [column_of(values, f"x{place}") for place, values in enumerate(columns)]
    return Associations(named, np.arange(ROWS)).matrix


def test_of_numbers_it_is_spearmans_correlation() -> None:
    columns = [X, X**2 + RANDOM.normal(size=ROWS), np.round(X), -np.exp(X)]

    expected = spearmanr(np.stack(columns, axis=1)).statistic

    assert associated(columns) == pytest.approx(expected, abs=1e-12)


def test_missing_values_leave_the_rows_that_have_both() -> None:
    one, other = np.where(np.arange(ROWS) % 5 == 0, np.nan, X), np.where(np.arange(ROWS) % 3 == 0, np.nan, X + 1)

    found = associated([one, other])[0, 1]

    ranks = pd.DataFrame({"one": one, "other": other}).rank()
    assert found == pytest.approx(ranks["one"].corr(ranks["other"]))


def test_of_texts_it_is_cramers_v() -> None:
    table = pd.crosstab(GROUP, OTHER)

    assert associated([GROUP, OTHER])[0, 1] == pytest.approx(association(table, method="cramer"))
    assert associated([GROUP, np.char.add("x", GROUP)])[0, 1] == pytest.approx(1)


def test_of_a_text_and_a_number_it_is_the_root_of_the_explained_share_of_the_ranks() -> None:
    number = X + (GROUP == "a")
    ranks, dummies = pd.Series(number).rank(), pd.get_dummies(GROUP)

    found = associated([GROUP, number])

    assert (
        found[0, 1] == found[1, 0] == pytest.approx(LinearRegression().fit(dummies, ranks).score(dummies, ranks) ** 0.5)
    )


@pytest.mark.parametrize(
    "values", [np.full(ROWS, 2.0), np.full(ROWS, np.nan), ["a"] * ROWS, [None] * ROWS, [1.0] + [np.nan] * (ROWS - 1)]
)
def test_with_one_value_or_too_few_rows_there_is_none(values: Any) -> None:
    found = associated([X, GROUP, values])

    assert np.isnan(found[2]).all()
    assert not np.isnan(found[:2, :2]).any()


def test_infinities_and_numbers_of_any_size_have_their_ranks() -> None:
    wild = X.copy()
    wild[np.argsort(X)[[0, -2, -1]]] = [-np.inf, 1e300, np.inf]

    assert associated([X, wild])[0, 1] == 1


def test_pairs_are_named_with_their_measure_the_closest_first() -> None:
    named = [column_of(values, name) for name, values in {"x": X, "y": -X, "g": GROUP, "h": OTHER}.items()]

    found = Associations(named, np.arange(ROWS)).pairs(0.5)

    assert [(pair.one, pair.other, pair.measure) for pair in found] == [
        ("x", "y", "Spearman's correlation"),
        ("g", "h", "Cramér's V"),
    ]
    assert found[0].association == -1


def test_columns_that_tell_of_each_other_are_neighbours() -> None:
    columns = [X, GROUP, X + 0.1 * RANDOM.normal(size=ROWS), OTHER, RANDOM.normal(size=ROWS)]

    order = in_blocks(associated(columns)).tolist()

    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert in_blocks(np.array([[1.0, np.nan], [np.nan, 1.0]])).tolist() == [0, 1]
