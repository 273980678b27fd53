"""The stratified bootstrap, against a plain loop over scikit-learn and against what it promises."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from ml.intervals import bootstrap
from ml.intervals.bootstrap import Resampling, estimates, quantiles, resampled_values, weights
from ml.tasks.counting import Counting
from ml.tasks.metrics import METRICS, Metric


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 300).astype("int8")
    return y, np.round(0.3 * y + 0.5 * random.random(300), 2)


def test_every_resample_has_as_many_rows_of_each_class_as_the_data() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 3])

    drawn = np.concatenate(list(weights(y, 200, seed=0)))

    assert drawn.shape == (200, 83)
    for code, rows in ((0, 50), (1, 30), (2, 3)):
        assert (drawn[:, y == code].sum(axis=1) == rows).all()
    assert len(np.unique(drawn, axis=0)) == 200


@pytest.mark.parametrize("metric", ["roc_auc", "ndcg_at_3"])
def test_one_group_alone_has_no_interval(rows: tuple[np.ndarray, np.ndarray], metric: str) -> None:
    y, p = rows

    for groups, known in ((np.zeros(300, int), False), (np.arange(300) // 150, True)):
        measured = Metric.named(metric).prepare(y, p, Counting(groups=groups))
        found = estimates(y, {"": measured}, Resampling(100, groups=groups))[""]
        assert found.value > 0.5
        assert (np.isfinite(found.low), np.isfinite(found.high)) == (known, known)


def test_the_rows_of_numbers_are_drawn_from_all() -> None:
    y = np.arange(40.0)

    drawn = np.concatenate(list(weights(y, 100, seed=0)))

    assert (drawn.sum(axis=1) == 40).all()
    assert drawn.max() > 1


def test_groups_are_drawn_as_wholes_and_as_many_as_there_are() -> None:
    groups = np.array([7, 3, 3, 9, 7, 5, 5, 5])

    drawn = np.concatenate(list(weights(np.zeros(8), 200, seed=0, groups=groups)))

    assert drawn.shape == (200, 8)
    for group in (3, 5, 7):
        assert np.ptp(drawn[:, groups == group], axis=1).max() == 0
    assert (drawn[:, [0, 1, 3, 5]].sum(axis=1) == 4).all()
    assert len(np.unique(drawn, axis=0)) > 20


def test_resamples_depend_on_the_seed_and_not_on_how_many_are_held_at_once(
    rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, _ = rows
    many = np.concatenate(list(weights(y, 50, seed=3)))

    monkeypatch.setattr(bootstrap, "CELLS", 1)

    assert (np.concatenate(list(weights(y, 50, seed=3))) == many).all()
    assert not (np.concatenate(list(weights(y, 50, seed=4))) == many).all()


@pytest.mark.parametrize(
    ("metric", "of_scikit_learn"),
    [("roc_auc", reference.roc_auc_score), ("average_precision", reference.average_precision_score),
     ("log_loss", reference.log_loss), ("brier", reference.brier_score_loss)],
)  # fmt: skip
def test_the_interval_is_that_of_a_loop_over_scikit_learn(metric: str, of_scikit_learn: Any, rows: Any) -> None:
    y, p = rows
    p = np.clip(p, 0.01, 0.99)
    how = Resampling(resamples=60, confidence=0.9, seed=1)
    repeated = [np.repeat(np.arange(len(y)), each.astype(int)) for some in weights(y, 60, 1) for each in some]
    looped = [of_scikit_learn(y[drawn], p[drawn]) for drawn in repeated]

    found = estimates(y, {"it": METRICS[metric].prepare(y, p)}, how)["it"]

    assert found.value == pytest.approx(of_scikit_learn(y, p), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(looped, [0.05, 0.95])), rel=1e-9)


def test_functions_see_the_same_resamples(rows: Any) -> None:
    y, p = rows
    prepared = METRICS["brier"].prepare(y, p)

    found = resampled_values(y, {"one": prepared, "other": prepared}, Resampling(resamples=20))

    assert (found["one"] == found["other"]).all()


def test_the_interval_holds_the_true_value_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        y, p = random.normal(size=100), np.zeros(100)
        found = estimates(y, {"": METRICS["mae"].prepare(y, p)}, Resampling(resamples=200, confidence=0.9))[""]
        held += found.low <= np.sqrt(2 / np.pi) <= found.high

    assert 0.83 <= held / 200 <= 0.96


def test_there_is_no_interval_where_every_resample_is_undefined() -> None:
    y = np.ones(20, dtype="int8")

    found = estimates(y, {"": METRICS["roc_auc"].prepare(y, np.linspace(0, 1, 20))}, Resampling(resamples=10))[""]

    assert np.isnan([found.value, found.low, found.high]).all()


def test_a_quantile_passes_over_what_is_missing_and_is_missing_where_all_is() -> None:
    values = np.array([[1.0, np.nan, 1.0], [2.0, np.nan, np.nan], [3.0, np.nan, 3.0]])

    assert quantiles(values, [0.5]).tolist()[0][::2] == [2.0, 2.0]
    assert np.isnan(quantiles(values, [0.1, 0.9])[:, 1]).all()
    assert np.isnan(quantiles(np.full(5, np.nan), [0.5])).all()
