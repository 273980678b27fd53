"""An answer follows a monotone feature in one direction, whatever the rest of a row is, and ONNX answers the same."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.monotone import require_monotone
from ml.search.study import Search
from ml.search.tuning import tune
from ml.tasks.objectives import Objective
from ml.tasks.task import Kind
from ml.tasks.transforms import TRANSFORMS
from tests.ml.models.test_family import frame as frame  # the fixture
from tests.ml.models.test_family import installed, training
from tests.ml.models.test_objectives import amounts as amounts  # the fixture
from tests.ml.models.test_objectives import training as training_by


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_an_answer_never_falls_as_a_feature_rises(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data = training(frame, kind)
    transform = TRANSFORMS["ln"] if kind == "regression" else None
    chosen = family(name)

    model = chosen.fit(replace(data, monotone={"b": 1, "a": -1}, transform=transform), chosen.defaults(), seed=1)

    assert chosen.takes_monotone
    for column, way in ((0, -1), (1, 1)):
        rows = np.repeat(data.X_valid[:40], 25, axis=0)
        rows[:, column] = np.tile(np.linspace(-3, 3, 25, dtype="float32"), 40)
        steps = np.diff(model.predict(rows).reshape(40, 25), axis=1) * way
        assert (steps >= -1e-7 * data.task.unit(data.y)).all()
    measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), frame[800:]).raise_for_drift()


@pytest.mark.parametrize("objective", ["mae", "quantile_0.9", "huber_3", "poisson", "gamma", "tweedie_1.5"])
@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_by_an_objective_answers_never_fall_or_the_family_refuses(
    name: str,
    objective: str,
    amounts: pd.DataFrame,
) -> None:
    if not installed(name) or Objective.named(objective).kind not in family(name).objectives:
        pytest.skip("it cannot learn that")
    data = replace(training_by(amounts, objective), monotone={"b": 1, "a": -1})
    chosen = family(name)
    if not chosen.keeps_monotone_by(data.objective.kind):
        with pytest.raises(ValueError, match=rf"'{name}' cannot keep to monotone features by '{objective}'"):
            chosen.fit(data, chosen.defaults(), seed=1)
        return

    model = chosen.fit(data, {**chosen.defaults(), "learning_rate": 0.1}, seed=1)

    rows = np.repeat(data.X_valid[:40], 25, axis=0)
    rows[:, 1] = np.tile(np.linspace(-3, 3, 25, dtype="float32"), 40)
    assert np.diff(model.predict(rows).reshape(40, 25), axis=1).min() >= 0
    assert np.ptp(model.predict(data.X_valid)) > 0.1 * data.y_valid.std()


@dataclass(frozen=True)
class Falling:
    """A model whose answers rise with its first column up to a number, and fall from there."""

    summit: float

    def predict(self, X: np.ndarray) -> np.ndarray:
        climbed: np.ndarray = -np.abs(np.nan_to_num(X[:, 0]) - self.summit)
        return climbed

    def thresholds(self) -> dict[int, np.ndarray]:
        return {0: np.array([self.summit], np.float32)}


def test_a_model_that_does_not_keep_to_it_is_found_out_where_its_answers_turn(frame: pd.DataFrame) -> None:
    data = replace(training(frame, "regression"), monotone={"a": 1})

    require_monotone(Falling(100.0), data)  # beyond every row
    require_monotone(Falling(-100.0), replace(data, monotone={"a": -1}))
    with pytest.raises(ArithmeticError, match=r"falls by \S+ as 'a' rises from \S+ to \S+, though it is declared in"):
        require_monotone(Falling(0.0), data)
    with pytest.raises(ArithmeticError, match=r"rises by \S+ as 'a' rises"):
        require_monotone(Falling(0.0), replace(data, monotone={"a": -1}))


def test_a_trial_whose_model_is_not_monotone_fails_with_that_reason(frame: pd.DataFrame) -> None:
    data = replace(training(frame, "regression"), monotone={"b": 1, "a": -1})
    renewed = {"use_quantized_grad": True, "quant_train_renew_leaf": True}

    with pytest.raises(RuntimeError, match=r"The first: ArithmeticError: the answer \S+ by \S+ as '[ab]' rises"):
        tune("lightgbm", data, trials=1, seed=0, metric="rmse", search=Search(space=renewed))


def test_the_directions_are_in_the_order_of_the_encoded_columns(frame: pd.DataFrame) -> None:
    data = training(frame, "binary")

    assert data.directions == []
    assert replace(data, monotone={"b": -1}).directions == [0, -1, 0]


class Unasked:
    """A model that is asked for nothing."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        raise AssertionError("it was asked for answers")

    def thresholds(self) -> dict[int, np.ndarray]:
        raise AssertionError("it was asked for its thresholds")


def test_without_a_monotone_feature_a_model_is_asked_for_nothing(frame: pd.DataFrame) -> None:
    require_monotone(Unasked(), training(frame, "binary"))
