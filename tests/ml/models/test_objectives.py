"""Every family learns by the objectives that it names, to the answer that is best by each, as ONNX does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score
from ml.tasks.objectives import KINDS, SQUARED, Objective
from ml.tasks.task import Task
from tests.ml.models.test_family import installed

EXAMPLES = ["mae", "huber_3", "quantile_0.9", "quantile_0.1", "poisson", "gamma", "tweedie_1.5"]
LEARNED = [
    pytest.param(name, objective, marks=pytest.mark.skipif(not installed(name), reason="pip install '.[boosters]'"))
    for name in CATALOGUE
    if installed(name)
    for objective in EXAMPLES
    if Objective.named(objective).kind in family(name).objectives
]


@pytest.fixture(scope="module")
def amounts() -> pd.DataFrame:
    """Amounts that are skewed, of a size far from 1, above 0."""
    rng = np.random.default_rng(0)
    rows = 1500
    frame = pd.DataFrame(
        {"a": rng.normal(size=rows), "b": rng.normal(size=rows), "c": rng.choice([*"xyz", None], rows)}
    )
    level = np.exp(4 + 0.5 * frame["a"] + (frame["c"] == "x"))
    frame["amount"] = rng.gamma(2.0, level / 2)
    frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
    return frame


def training(amounts: pd.DataFrame, objective: str | None) -> Training:
    train, valid = amounts[:1000], amounts[1000:]
    encoder, task = Encoder.fit(train, ["a", "b"], ["c"]), Task("regression")
    y, y_valid = (task.labels(rows["amount"]) for rows in (train, valid))
    X, X_valid = encoder.encode(train), encoder.encode(valid)
    return Training(X, y, X_valid, y_valid, encoder, task, objective=Objective.named(objective))


def fitted(name: str, data: Training) -> Any:
    return family(name).fit(data, {**family(name).defaults(), "learning_rate": 0.1}, seed=1)


@pytest.mark.parametrize(("name", "objective"), LEARNED)
def test_a_family_learns_what_is_best_by_the_objective_and_onnx_answers_the_same(
    name: str, objective: str, amounts: pd.DataFrame
) -> None:
    data = training(amounts, objective)
    squared, model = fitted(name, replace(data, objective=SQUARED)), fitted(name, data)

    answers, y = model.predict(data.X_valid), data.y_valid

    content = export(model, data.encoder, {}, data.task)
    measure_parity(model, data.encoder, content, amounts[1000:]).raise_for_drift()
    kind = data.objective.kind
    if kind in ("mae", "huber"):
        assert score("mae", y, answers) < score("mae", y, squared.predict(data.X_valid))
    elif kind == "quantile":
        assert np.mean(y <= answers) == pytest.approx(data.objective.number, abs=0.07)
    else:
        assert (answers > 0).all()
        assert answers.mean() == pytest.approx(y.mean(), rel=0.15)
        assert score("r2", np.log(y), np.log(answers)) > 0.2


def test_the_families_name_the_objectives_that_they_learn() -> None:
    able = {kind: {name for name in CATALOGUE if installed(name) and kind in family(name).objectives} for kind in KINDS}

    boosted = {name for name in ("hist_boosting", "lightgbm", "xgboost", "catboost") if installed(name)}
    assert able["mae"] == able["quantile"] == able["poisson"] == boosted
    assert able["huber"] == able["tweedie"] == boosted - {"hist_boosting"}
    assert able["gamma"] == boosted - {"catboost"}


@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_answers_far_from_the_mean_are_the_same_in_onnx(name: str, amounts: pd.DataFrame) -> None:
    if not installed(name):
        pytest.skip("pip install '.[boosters]'")
    data = training(amounts, "quantile_0.002")  # near 1, where the mean is 60

    model = fitted(name, data)

    assert model.predict(data.X_valid).max() < 0.1 * data.y.mean()
    measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), amounts[1000:]).raise_for_drift()


def test_a_family_refuses_to_learn_by_another_objective(amounts: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'ridge' cannot learn by 'poisson'. It allows \['squared'\]"):
        fitted("ridge", training(amounts, "poisson"))


@pytest.mark.parametrize("objective", ["poisson", "gamma", "tweedie_1.5"])
@pytest.mark.parametrize("name", ["hist_boosting", "lightgbm", "xgboost", "catboost"])
def test_amounts_of_any_unit_are_learned_alike(name: str, objective: str, amounts: pd.DataFrame) -> None:
    if not installed(name) or Objective.named(objective).kind not in family(name).objectives:
        pytest.skip("it cannot learn that")
    data = training(amounts, objective)
    small, large = (replace(data, y=data.y * unit, y_valid=data.y_valid * unit) for unit in (2.0**-40, 2.0**140))

    models = {unit: fitted(name, of_unit) for unit, of_unit in ((2.0**-40, small), (2.0**140, large))}

    answers = [model.predict(data.X_valid) / unit for unit, model in models.items()]
    assert answers[0] == pytest.approx(answers[1], rel=1e-9)
    assert score("r2", np.log(data.y_valid), np.log(answers[0])) > 0.2
    for model in models.values():
        measure_parity(
            model, data.encoder, export(model, data.encoder, {}, data.task), amounts[1000:]
        ).raise_for_drift()


def test_numbers_of_any_size_are_learned_alike_by_the_distance_of_huber(amounts: pd.DataFrame) -> None:
    data = training(amounts, "huber_3")
    unit = 2.0**60
    large = replace(data, y=data.y * unit, y_valid=data.y_valid * unit, objective=Objective("huber", 3 * unit))

    one, other = fitted("lightgbm", data), fitted("lightgbm", large)

    assert other.predict(data.X_valid) / unit == pytest.approx(one.predict(data.X_valid), rel=0.05)
