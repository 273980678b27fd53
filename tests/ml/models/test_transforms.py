"""Every family learns the transform of a target, and answers the number itself, as ONNX does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.near_zero import Transformed
from ml.tasks.metrics import score
from ml.tasks.objectives import Objective
from ml.tasks.transforms import TRANSFORMS
from resources.kinds import dumps, loads
from tests.ml.models.test_objectives import amounts as amounts  # the fixture
from tests.ml.models.test_objectives import installed, training

QUICK = {"random_forest": {"n_estimators": 20}, "mlp": {"epochs": 6}}


@pytest.mark.parametrize("transform", ["ln", "sqrt"])
@pytest.mark.parametrize("name", ["ridge", "random_forest", "hist_boosting", "lightgbm", "xgboost", "catboost", "mlp"])
def test_a_family_learns_the_transform_and_answers_the_number(name: str, transform: str, amounts: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data, way = training(amounts, None), TRANSFORMS[transform]
    settings = {**family(name).defaults(), **QUICK.get(name, {})}

    model = family(name).fit(replace(data, transform=way), settings, seed=1)
    of_transformed = family(name).fit(
        replace(data, y=way.forward(data.y), y_valid=way.forward(data.y_valid)), settings, seed=1
    )

    answers = model.predict(data.X_valid)
    assert isinstance(model, Transformed)
    assert answers == pytest.approx(way.inverse(of_transformed.predict(data.X_valid)), rel=1e-9)
    assert (answers >= 0).all()
    assert score("rmsle", data.y_valid, answers) < 0.9
    if name != "mlp":
        measure_parity(
            model, data.encoder, export(model, data.encoder, {}, data.task), amounts[1000:]
        ).raise_for_drift()
    assert np.array_equal(loads(dumps(model)).predict(data.X_valid), answers)


@pytest.mark.parametrize("transform", ["log", "log2", "log1p"])
def test_every_transform_is_the_same_in_onnx(transform: str, amounts: pd.DataFrame) -> None:
    data = replace(training(amounts, None), transform=TRANSFORMS[transform])

    model = family("hist_boosting").fit(data, family("hist_boosting").defaults(), seed=1)

    measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), amounts[1000:]).raise_for_drift()


def test_a_quantile_of_the_transform_is_that_of_the_number(amounts: pd.DataFrame) -> None:
    data = replace(training(amounts, "quantile_0.8"), transform=TRANSFORMS["ln"])

    answers = family("lightgbm").fit(data, family("lightgbm").defaults(), seed=1).predict(data.X_valid)

    assert np.mean(data.y_valid <= answers) == pytest.approx(0.8, abs=0.07)
    assert data.objective == Objective("quantile", 0.8)


def test_a_refit_without_validation_rows_is_as_long_as_the_model_was_trained(amounts: pd.DataFrame) -> None:
    data = replace(training(amounts, None), transform=TRANSFORMS["ln"])
    chosen = family("lightgbm")
    model = chosen.fit(data, chosen.defaults(), seed=1)

    settled = chosen.settled(chosen.defaults(), model)

    assert settled["rounds"] == model.rounds
