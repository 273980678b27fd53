"""Every family that takes weights goes by them, in what it learns and in what stops it, and ONNX answers the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.row_weights import RowWeights
from ml.tasks.task import Kind
from tests.ml.models.test_family import EVERY, installed, training
from tests.ml.models.test_family import frame as frame  # the fixture
from tests.ml.models.test_objectives import LEARNED
from tests.ml.models.test_objectives import amounts as amounts  # the fixture
from tests.ml.models.test_objectives import training as training_by

QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 30},
    "extra_trees": {"n_estimators": 30},
    "mlp": {"epochs": 8},
    "resnet": {"epochs": 8},
}


def fitted(name: str, data: Training, **params: Any) -> Any:
    return family(name).fit(data, {**family(name).defaults(), **QUICK.get(name, {}), **params}, seed=1)


def heavy(data: Training) -> RowWeights:
    """Weights by which rows of a high label count ten times."""
    high = np.median(data.y) if data.task.kind == "regression" else 0.5
    return RowWeights.of_rows(np.where(data.y > high, 10.0, 1.0), np.where(data.y_valid > high, 10.0, 1.0))


def level(data: Training, answers: np.ndarray) -> float:
    """The mean number, or probability of other classes than the first."""
    return float((1 - answers[:, 0]).mean() if data.task.kind == "multiclass" else answers.mean())


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_rows_that_count_more_draw_the_answers_to_them(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    data = training(frame, kind)
    weighed = replace(data, weights=heavy(data))

    plain, model = fitted(name, data), fitted(name, weighed)

    assert family(name).takes_weights
    assert level(data, model.predict(data.X_valid)) > level(data, plain.predict(data.X_valid)) + 0.02
    if name not in QUICK:
        content = export(model, data.encoder, {}, data.task)
        measure_parity(model, data.encoder, content, frame[800:]).raise_for_drift()


@pytest.mark.parametrize("name", ["logistic", "ridge", "xgboost"])
def test_a_row_that_counts_twice_is_two_rows(name: str, frame: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data = training(frame, "regression" if name == "ridge" else "binary")
    counts = np.random.default_rng(0).integers(1, 4, len(data.y))
    rows = np.repeat(np.arange(len(data.y)), counts)
    # Little regularization, and no sampling: both go by rows. Scalers do too, and only move what is regularized.
    settings = {"logistic": {"C": 1e6}, "ridge": {"alpha": 1e-8}}.get(
        name, {"subsample": 1.0, "colsample_bytree": 1.0, "rounds": 20, "max_bin": 1000}
    )

    weighed = fitted(
        name, replace(data, weights=RowWeights(counts.astype(float), np.ones(len(data.y_valid)))), **settings
    )
    repeated = fitted(name, replace(data, X=data.X[rows], y=data.y[rows]), **settings)

    apart = np.abs(weighed.predict(data.X_valid) - repeated.predict(data.X_valid)).max()
    assert apart / data.task.unit(data.y) < 2e-3


@pytest.mark.parametrize(("name", "objective"), LEARNED)
def test_by_every_objective_weights_draw_the_answers_or_the_family_refuses(
    name: str,
    objective: str,
    amounts: pd.DataFrame,
) -> None:
    data = training_by(amounts, objective)
    weighed, kind = replace(data, weights=heavy(data)), data.objective.kind
    if not family(name).weighs_by(kind):
        with pytest.raises(ValueError, match=rf"'{name}' cannot go by weights and '{objective}'"):
            fitted(name, weighed)
        return

    answers = fitted(name, weighed, learning_rate=0.1).predict(data.X)

    assert answers.mean() > fitted(name, data, learning_rate=0.1).predict(data.X).mean()
    below = np.average(data.y <= answers, weights=heavy(data).learned)
    if kind in ("mae", "quantile"):
        assert below == pytest.approx(0.5 if kind == "mae" else data.objective.number, abs=0.06)


@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_boosting_stops_by_the_weights_of_what_it_watches(name: str, frame: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data = training(frame, "binary")
    ones, weights = np.ones(len(data.y)), np.random.default_rng(0).random(len(data.y_valid)) ** 8 + 1e-3

    alike, otherwise = (
        fitted(name, replace(data, weights=RowWeights(ones, watched)), learning_rate=0.1).rounds
        for watched in (np.ones(len(data.y_valid)), weights)
    )

    assert fitted(name, data, learning_rate=0.1).rounds == alike
    assert otherwise != alike


def test_balanced_classes_count_the_same_whatever_their_share() -> None:
    y, y_valid = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0])

    weights = RowWeights.balanced(y, y_valid)

    assert [weights.learned[y == code].sum() for code in range(3)] == pytest.approx([2, 2, 2])
    assert weights.learned.mean() == pytest.approx(1)
    assert weights.watched == pytest.approx([2, 2, 2 / 3])
    assert weights.scoring is None


def test_only_ratios_of_weights_count() -> None:
    learned, watched = np.array([1.0, 2.0, 3.0]), np.array([4.0])

    small, large = (RowWeights.of_rows(learned * unit, watched * unit) for unit in (1e-6, 1e6))

    assert small.learned == pytest.approx(large.learned)
    assert small.watched == pytest.approx([2.0])
    assert large.watched == pytest.approx([2.0])
    assert small.learned.mean() == pytest.approx(1)
    assert small.scoring is small.watched


def test_a_fold_balances_the_rows_that_it_learns_from() -> None:
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    learned, judged = np.arange(4), np.arange(4, 8)

    fold = RowWeights.balanced(y, y).fold(y, learned, judged)

    assert [fold.learned[y[:4] == code].sum() for code in (0, 1)] == pytest.approx([2, 2])
    assert fold.watched == pytest.approx([2 / 3, 2, 2, 2])


def test_weights_go_with_a_sample_of_the_rows(frame: pd.DataFrame) -> None:
    data = training(frame, "binary")
    data = replace(data, weights=RowWeights.of_rows(data.X[:, 0] + 10, data.X_valid[:, 0] + 10))

    sample = data.sample(100, seed=0)

    assert sample.weights is not None
    assert data.weights is not None
    assert sample.weights.learned / (sample.X[:, 0] + 10) == pytest.approx(
        data.weights.learned[0] / (data.X[0, 0] + 10)
    )


def test_there_is_a_weight_for_each_row(frame: pd.DataFrame) -> None:
    data = training(frame, "binary")

    with pytest.raises(ValueError, match=r"There are 3 and 400 weights. Expected one for each of the 800 training"):
        replace(data, weights=RowWeights(np.ones(3), np.ones(400)))


def test_every_family_of_the_catalogue_takes_weights() -> None:
    assert all(family(name).takes_weights for name in CATALOGUE if installed(name))
