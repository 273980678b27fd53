"""What a column alone tells: known answers, and intervals against other ways to them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, f_oneway, rankdata, spearmanr
from sklearn.metrics import r2_score, roc_auc_score

from ml.intervals.bootstrap import Resampling, estimates
from ml.profile.columns import Column
from ml.profile.relation import BINS, alone, bins, by_chance, folds, held_out, order
from ml.tasks.metrics import METRICS
from ml.tasks.task import Kind, Task
from tests.support.profiled import column_of

ROWS = 3000
RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=ROWS)
TARGETS: dict[Kind, np.ndarray] = {
    "binary": (X + RANDOM.normal(size=ROWS) > 1).astype("int8"),
    "multiclass": np.digitize(X + RANDOM.normal(size=ROWS), [-0.5, 0.7]).astype("int16"),
    "regression": 5 + X + RANDOM.normal(size=ROWS),
}
TASKS: dict[Kind, Task] = {
    "binary": Task(),
    "multiclass": Task("multiclass", ("a", "b", "c")),
    "regression": Task("regression"),
}
PARTS = folds(np.arange(ROWS), 0)


def told(column: Column, kind: Kind) -> tuple[float, float, float]:
    found = alone(bins(column, np.arange(ROWS)), TARGETS[kind], TASKS[kind], PARTS, 0.95)
    assert found is not None
    return found.value, found.low, found.high


@pytest.mark.parametrize("kind", list(TASKS))
def test_the_value_is_the_metric_of_the_held_out_predictions(kind: Kind) -> None:
    codes, y = bins(column_of(X), np.arange(ROWS)), TARGETS[kind]

    value, low, high = told(column_of(X), kind)

    if kind == "regression":
        expected = r2_score(y, held_out(codes, y, PARTS))
    else:
        classes = [1] if kind == "binary" else [0, 1, 2]
        expected = np.mean([roc_auc_score(y == code, held_out(codes, y == code, PARTS)) for code in classes])
    assert value == pytest.approx(expected, abs=1e-9)
    assert low < value < high


@pytest.mark.parametrize("kind", list(TASKS))
def test_the_interval_is_that_of_the_bootstrap(kind: Kind) -> None:
    codes, y, task = bins(column_of(X), np.arange(ROWS)), TARGETS[kind], TASKS[kind]
    metric = METRICS["r2" if kind == "regression" else "roc_auc"]
    if kind == "multiclass":
        p = np.stack([held_out(codes, y == code, PARTS) for code in range(3)], axis=1)
    else:
        p = held_out(codes, y, PARTS)
    weighted = metric.prepare(y, p)
    expected = estimates(y, {"metric": weighted}, Resampling(resamples=1000))["metric"]

    value, low, high = told(column_of(X), task.kind)

    assert value == pytest.approx(expected.value, abs=1e-9)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.12 * (expected.high - expected.low))


def test_the_interval_of_a_roc_auc_is_that_of_delong() -> None:
    """DeLong, DeLong and Clarke-Pearson 1988, by all pairs."""
    y = TARGETS["binary"]
    p = held_out(bins(column_of(X), np.arange(ROWS)), y, PARTS)
    pairs = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    variance = sum(pairs.mean(axis=side).var(ddof=1) / pairs.shape[1 - side] for side in (0, 1))

    value, low, high = told(column_of(X), "binary")

    assert value == pytest.approx(pairs.mean())
    assert (high - low) / 2 == pytest.approx(1.959964 * variance**0.5, rel=2e-3)


@pytest.mark.parametrize("kind", list(TASKS))
def test_noise_tells_nothing_and_a_copy_of_the_target_everything(kind: Kind) -> None:
    noise = [column_of(np.random.default_rng(seed).normal(size=ROWS)) for seed in range(40)]
    p_values = [by_chance(bins(column, np.arange(ROWS)), TARGETS[kind], TASKS[kind]) for column in noise]
    chance = 0 if kind == "regression" else 0.5

    assert sum(p_value < 0.05 for p_value in p_values) <= 6
    assert np.mean([told(column, kind)[0] for column in noise]) == pytest.approx(chance, abs=0.015)
    assert told(column_of(TARGETS[kind]), kind)[0] > 0.95
    assert told(column_of([f"<{target}>" for target in np.round(TARGETS[kind], 0)]), kind)[0] > 0.85
    assert by_chance(bins(column_of(TARGETS[kind]), np.arange(ROWS)), TARGETS[kind], TASKS[kind]) < 1e-9


def test_chance_is_judged_as_scipy_does() -> None:
    group = RANDOM.choice(["a", "b", "c"], ROWS)
    codes = bins(column_of(group), np.arange(ROWS))
    y, numbers = TARGETS["multiclass"], TARGETS["regression"]
    ranks = rankdata(numbers)

    assert by_chance(codes, y, TASKS["multiclass"]) == pytest.approx(chi2_contingency(pd.crosstab(group, y)).pvalue)
    expected = f_oneway(*(ranks[group == name] for name in "abc")).pvalue
    assert by_chance(codes, numbers, TASKS["regression"]) == pytest.approx(expected)
    assert by_chance(codes, np.zeros(ROWS, dtype="int8"), Task()) == 1
    assert by_chance(np.zeros(ROWS), numbers, TASKS["regression"]) == 1
    assert by_chance(np.arange(ROWS), numbers, TASKS["regression"]) == 1


def test_a_relation_that_rises_and_falls_is_seen_and_its_order_is_none() -> None:
    y = (np.abs(X) > 1).astype("int8")
    found = alone(bins(column_of(X), np.arange(ROWS)), y, Task(), PARTS, 0.95)

    assert found is not None
    assert found.value > 0.98
    assert abs(order(column_of(X), np.arange(ROWS), y, Task()) or 0) < 0.1


def test_that_a_value_is_missing_may_tell_all() -> None:
    gone = np.where(TARGETS["binary"] == 1, np.nan, X)

    assert told(column_of(gone), "binary")[0] == pytest.approx(1)
    assert told(column_of([None if lacks else "a" for lacks in np.isnan(gone)]), "binary")[0] == pytest.approx(1)


@pytest.mark.parametrize(
    "values", [np.full(ROWS, 3.0), np.full(ROWS, np.nan), ["a"] * ROWS, [None] * ROWS], ids=["3", "nan", "a", "none"]
)
def test_a_column_with_one_value_has_none(values: object) -> None:
    assert alone(bins(column_of(values), np.arange(ROWS)), TARGETS["binary"], Task(), PARTS, 0.95) is None
    assert order(column_of(values), np.arange(ROWS), TARGETS["binary"], Task()) is None


def test_texts_that_are_all_different_tell_nothing_that_they_know_by_heart() -> None:
    assert told(column_of([str(place) for place in range(ROWS)]), "binary")[0] == pytest.approx(0.5, abs=0.03)


def test_rows_of_one_key_are_in_one_fold() -> None:
    keys = np.repeat(np.arange(50), 4)

    parts = folds(keys, 0)

    assert sorted(np.concatenate([part for _, part in parts])) == list(range(200))
    assert all(not set(keys[others]) & set(keys[part]) for others, part in parts)


def test_ranges_of_numbers_hold_about_as_many_rows_each_whatever_their_size() -> None:
    wide = np.concatenate([X[:-3], [1e300, np.inf, -np.inf]])

    counts = np.bincount(bins(column_of(wide), np.arange(ROWS)))

    assert len(counts) == BINS
    assert counts.min() > 0.9 * ROWS / BINS
    assert (bins(column_of(X), np.arange(ROWS)) == bins(column_of(np.exp(X)), np.arange(ROWS))).all()


def test_order_is_spearmans_correlation_of_the_rows_that_have_a_value() -> None:
    there = np.arange(ROWS) % 3 > 0
    y = TARGETS["regression"]

    found = order(column_of(np.where(there, X, np.nan)), np.arange(ROWS), y, Task("regression"))

    assert found == pytest.approx(spearmanr(X[there], y[there]).statistic)
    assert order(column_of(["a", "b"]), np.arange(2), y[:2], Task("regression")) is None


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_the_size_of_the_targets_changes_nothing(size: float) -> None:
    y, codes = TARGETS["regression"] * size, bins(column_of(X), np.arange(ROWS))

    found = alone(codes, y, Task("regression"), PARTS, 0.95)

    assert found is not None
    assert found.value == pytest.approx(told(column_of(X), "regression")[0])


def test_a_target_with_one_value_and_too_few_rows_have_none() -> None:
    codes = np.arange(40) % 2

    assert alone(codes, np.ones(40, dtype="int8"), Task(), folds(np.arange(40), 0), 0.95) is None
    assert alone(codes, np.full(40, 2.5), Task("regression"), folds(np.arange(40), 0), 0.95) is None
    assert alone(codes[:1], np.ones(1, dtype="int8"), Task(), folds(np.arange(1), 0), 0.95) is None
