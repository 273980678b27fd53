"""Quantiles and bars against those of pandas."""

import numpy as np
import pandas as pd
import pytest

from ml.profile.distribution import BINS, FEW, MISSING, MOST_TEXTS, bars, most_frequent, number, quantiles
from ml.profile.record import Bar
from tests.support.profiled import column_of

RANDOM = np.random.default_rng(0)


def split(rows: int) -> dict[str, np.ndarray]:
    return {"train": np.arange(0, rows, 2), "test": np.arange(1, rows, 2)}


def total(found: tuple[Bar, ...], name: str) -> float:
    return sum(bar.shares[name] for bar in found)


@pytest.mark.parametrize("values", [RANDOM.normal(size=101), [3.0], [1, 2], [np.inf, 1.0, -np.inf, 5.0, np.nan]])
def test_quantiles_are_values_of_the_column_as_pandas_has_them(values: list[float]) -> None:
    finite = pd.Series(values).replace([np.inf, -np.inf], np.nan).dropna()

    expected = finite.quantile([0, 0.05, 0.5, 0.95, 1], interpolation="lower")

    found = quantiles(column_of(values))
    assert set(found) <= set(finite)
    assert (found[0], found[-1]) == (finite.min(), finite.max())
    assert np.searchsorted(np.sort(finite), found) == pytest.approx(np.searchsorted(np.sort(finite), expected), abs=1)
    assert found == tuple(np.quantile(finite, [0, 0.05, 0.5, 0.95, 1], method="inverted_cdf"))


def test_of_texts_and_of_nothing_there_are_no_quantiles() -> None:
    assert quantiles(column_of(["a", "b"])) == ()
    assert quantiles(column_of([None, np.nan, np.inf])) == ()


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=400),
        RANDOM.integers(0, 5, 400).astype(float),
        np.where(np.arange(400) % 7 == 0, np.nan, RANDOM.lognormal(3, 3, size=400)),
        np.where(np.arange(400) == 3, 1e300, RANDOM.normal(size=400)),
        np.where(np.arange(400) < 3, np.inf, -1.7e308 + RANDOM.random(400) * 3.3e308),
        np.full(400, 7.0),
        np.full(400, np.nan),
        np.array(["a", "b", None, "ccc"] * 100, dtype=object),
        np.array([f"t{place}" for place in range(400)], dtype=object),
        np.array([True, False, None, True] * 100, dtype=object),
    ],
)
def test_every_row_of_a_split_is_in_one_bar(values: np.ndarray) -> None:
    found = bars(column_of(values), split(400), np.ones(400))

    assert total(found, "train") == pytest.approx(1)
    assert total(found, "test") == pytest.approx(1)
    assert {bar.target for bar in found} <= {1.0, None}
    assert len(found) <= FEW + 1
    missing = {bar.label: bar for bar in found}.get(MISSING)
    gone = pd.isna(pd.Series(values))
    assert (missing.shares["train"] if missing else 0) == pytest.approx(gone[::2].mean())


@pytest.mark.parametrize("last", [31, 53, 60, 72, 100, 366, 1000])
def test_bars_of_whole_numbers_hold_as_many_of_them_each(last: int) -> None:
    values = np.tile(np.arange(1, last + 1), 24)

    found = bars(column_of(values), {"train": np.arange(len(values)), "test": np.arange(0)}, None)

    first, *whole, partial = (bar.shares["train"] for bar in found)
    assert len(found) <= BINS
    assert whole == pytest.approx([whole[0]] * len(whole))
    assert whole[0] <= first <= 1.5 * whole[0]  # either end holds the few beyond it too
    assert partial <= 1.5 * whole[0]


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.integers(0, 99, 2000),
        RANDOM.normal(size=2000),
        RANDOM.integers(-40, 3, 2000) * 7.0,
        np.where(np.arange(2000) == 5, -np.inf, RANDOM.lognormal(3, 3, 2000)),
        RANDOM.integers(-(2**62), 2**62, 2000),
    ],
)
def test_the_label_of_a_bar_is_true_of_its_rows(values: np.ndarray) -> None:
    found = bars(column_of(values), {"train": np.arange(2000), "test": np.arange(0)}, None)

    numbers = np.sort(values.astype(float))
    end = 0
    for bar in found:
        rows = round(bar.shares["train"] * 2000)
        held, end = numbers[end : end + rows], end + rows
        first, last = bounds(bar.label)
        loose = 0.002 * abs(held).max(initial=0) if rows and np.isfinite(held).all() else 0  # labels have four digits
        assert not rows or (first - loose <= held[0] and held[-1] <= last + loose), bar.label
    assert end == 2000


def bounds(label: str) -> tuple[float, float]:
    """The numbers that a label allows."""
    words = label.replace(",", "").split()
    if words[0] == "up":
        return -np.inf, float(words[2])
    if words[0] == "from":
        return float(words[1]), np.inf
    return float(words[0]), float(words[-1])


def test_texts_that_look_like_the_bars_of_others_and_of_missing_ones_are_values() -> None:
    found = bars(column_of([MISSING, "(2 others)", None, MISSING]), {"train": np.arange(4), "test": np.arange(0)}, None)

    assert [(bar.label, bar.holds) for bar in found] == [
        (MISSING, "values"),
        ("(2 others)", "values"),
        (MISSING, "missing"),
    ]


def test_the_mean_target_of_a_value_is_that_of_its_training_rows() -> None:
    values, y = RANDOM.integers(0, 4, 300), RANDOM.normal(size=300)

    found = bars(column_of(values), split(300), y)

    expected = pd.Series(y[::2]).groupby(values[::2]).mean()
    assert [bar.label for bar in found] == ["0", "1", "2", "3"]
    assert [bar.target for bar in found] == pytest.approx(expected.tolist())
    assert [bar.shares["test"] for bar in found] == pytest.approx(
        pd.Series(values[1::2]).value_counts(normalize=True).sort_index().tolist()
    )


def test_the_most_frequent_texts_come_first_and_equal_ones_by_name() -> None:
    texts = ["b"] * 5 + ["a"] * 5 + ["z"] * 9 + [f"rare {place}" for place in range(30)] + [None]
    found = bars(column_of(texts), {"train": np.arange(len(texts)), "test": np.arange(0)}, None)

    assert [bar.label for bar in found[:3]] == ["z", "a", "b"]
    assert found[0].shares == {"train": pytest.approx(9 / 50), "test": 0.0}
    assert found[MOST_TEXTS].label == "(25 others)"
    assert found[-1].label == MISSING
    assert most_frequent(column_of(texts), np.arange(len(texts)), 2).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1956.0, "number", "1956"),
        (123456.0, "number", "123,456"),
        (0.123456, "number", "0.1235"),
        (1e300, "number", "1e+300"),
        (1.0, "flag", "true"),
        (0.0, "time", "1970-01-01"),
        (1_356_998_460.0, "time", "2013-01-01 00:01"),
        (-6e10, "time", "0068-09-03 13:20"),
        (float("-inf"), "number", "-inf"),
    ],
)
def test_numbers_and_times_are_written_short(value: float, kind: str, text: str) -> None:
    assert number(value, kind) == text
