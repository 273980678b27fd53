"""Distances between splits against scipy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from ml.profile.drift import drift, unseen
from tests.support.profiled import column_of

TRAIN, OTHER = np.arange(200), np.arange(200, 500)
RANDOM = np.random.default_rng(2)


def test_of_numbers_it_is_the_statistic_of_kolmogorov_and_smirnov() -> None:
    values = np.concatenate([RANDOM.normal(size=200), RANDOM.normal(0.5, size=300)])
    values[::9] = np.nan

    found = drift(column_of(values), TRAIN, OTHER)

    train, other = (part[~np.isnan(part)] for part in (values[:200], values[200:]))
    expected = ks_2samp(train, other)
    assert found is not None
    assert (found.distance, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("apart", [0.0, 0.02, 0.2])
def test_of_many_rows_too_with_the_p_value_of_the_limit(apart: float) -> None:
    values = np.concatenate([RANDOM.normal(size=4000), RANDOM.normal(apart, size=6000)]).round(2)

    found = drift(column_of(values), np.arange(4000), np.arange(4000, 10_000))

    expected = ks_2samp(values[:4000], values[4000:], method="asymp")
    assert found is not None
    assert found.distance == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.1, abs=1e-9)


def test_of_texts_it_is_the_total_variation() -> None:
    texts = np.concatenate([RANDOM.choice(["a", "b", "c"], 200), RANDOM.choice(["a", "b", "d"], 300)])

    found = drift(column_of(texts), TRAIN, OTHER)

    counts = pd.crosstab(np.arange(500) < 200, texts).reindex([True, False])
    shares = counts.div(counts.sum(axis=1), axis=0)
    assert found is not None
    assert found.distance == pytest.approx((shares.iloc[0] - shares.iloc[1]).abs().sum() / 2)
    assert found.p_value == pytest.approx(chi2_contingency(counts).pvalue)
    assert unseen(column_of(texts), TRAIN, OTHER) == pytest.approx((texts[200:] == "d").mean())


@pytest.mark.parametrize(
    ("values", "distance"),
    [
        (np.concatenate([np.zeros(200), np.ones(300)]), 1.0),
        (np.full(500, 4.0), 0.0),
        (np.array(["a"] * 500), 0.0),
        (np.array(["a"] * 200 + ["b"] * 300), 1.0),
        (np.concatenate([np.full(200, np.inf), np.full(300, 1e300)]), 1.0),
    ],
)
def test_it_is_0_where_all_is_alike_and_1_where_nothing_is(values: np.ndarray, distance: float) -> None:
    found = drift(column_of(values), TRAIN, OTHER)

    assert found is not None
    assert found.distance == distance


@pytest.mark.parametrize("empty", [np.nan, None])
def test_it_is_none_where_a_side_has_no_value(empty: object) -> None:
    for values in ([empty] * 200 + [1.0] * 300, [1.0] * 200 + [empty] * 300, [empty] * 500):
        assert drift(column_of(values), TRAIN, OTHER) is None
    assert drift(column_of(["a"] * 200 + [None] * 300), TRAIN, OTHER) is None


def test_rare_texts_are_one_so_that_many_values_are_no_drift() -> None:
    texts = [str(value) for value in RANDOM.integers(0, 150, 40_000)]

    found = drift(column_of(texts), np.arange(20_000), np.arange(20_000, 40_000))

    assert found is not None
    assert found.distance < 0.02
    assert found.p_value > 0.001
