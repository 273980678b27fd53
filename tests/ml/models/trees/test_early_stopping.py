"""Boosting that stops by the validation rows: where it stops, and that it can be repeated without them."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from ml.models.catalogue import family
from ml.models.family import Training
from ml.models.trees.lightgbm import MAX_ROUNDS, PATIENCE
from ml.search.space import Space
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task

BOOSTING = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(package) is None, reason="pip install '.[boosters]'"))
    for name, package in (
        ("hist_boosting", "sklearn"), ("lightgbm", "lightgbm"), ("xgboost", "xgboost"), ("catboost", "catboost"),
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Training:
    """Labels so noisy that boosting is best long before its last round."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(1200, 4)), columns=[*"abcd"])
    frame["e"] = random.choice([*"xyz"], 1200)
    y = (frame["a"] + frame["b"] * (frame["e"] == "x") + random.normal(0, 1.5, 1200) > 0).to_numpy("int8")
    encoder = Encoder.fit(frame[:800], [*"abcd"], ["e"])
    X = encoder.encode(frame)
    return Training(X[:800], y[:800], X[800:], y[800:], encoder)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOSTING)
def test_boosting_stops_at_the_round_with_the_least_validation_loss(name: str, data: Training) -> None:
    chosen: Any = family(name)
    stopped = chosen.fit(data, chosen.defaults(), seed=1)

    def loss(rounds: int) -> float:
        model = chosen.fit(data, {**chosen.defaults(), "rounds": rounds}, seed=1)
        return float(log_loss(data.y_valid, model.predict(data.X_valid)))

    assert 1 < stopped.rounds < MAX_ROUNDS
    best = loss(stopped.rounds)
    assert best == pytest.approx(log_loss(data.y_valid, stopped.predict(data.X_valid)), rel=1e-12)
    around = [*range(max(1, stopped.rounds - 4), stopped.rounds + 5), stopped.rounds + PATIENCE - 1]
    assert best == min(map(loss, around))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic", "random_forest", "extra_trees"])
def test_what_never_stops_looks_at_no_validation_rows(name: str, data: Training) -> None:
    chosen: Any = family(name)
    other = Training(data.X, data.y, data.X_valid[::-1], 1 - data.y_valid, data.encoder)

    first, same = (chosen.fit(problem, chosen.defaults(), seed=1) for problem in (data, other))

    assert np.array_equal(first.predict(data.X_valid), same.predict(data.X_valid))
    assert chosen.settled(chosen.defaults(), first) == chosen.defaults()


@pytest.mark.parametrize("name", BOOSTING)
def test_what_has_settled_has_as_many_rounds_whatever_the_validation_rows(name: str, data: Training) -> None:
    chosen: Any = family(name)
    stopped = chosen.fit(data, chosen.defaults(), seed=1)
    other = Training(data.X, data.y, data.X_valid, 1 - data.y_valid, data.encoder)

    settled = chosen.settled(chosen.defaults(), stopped)
    again = chosen.fit(other, settled, seed=1)

    assert settled == {**chosen.defaults(), "rounds": stopped.rounds}
    assert again.rounds == stopped.rounds
    assert np.array_equal(again.predict(data.X_valid), stopped.predict(data.X_valid))
    assert chosen.fit(other, chosen.defaults(), seed=1).rounds < stopped.rounds


REFUSED = [
    ("xgboost", {"booster": "dart"}, ("binary", "multiclass", "regression")),
    ("xgboost", {"booster": "gblinear"}, ("binary",)),
    ("xgboost", {"tree_method": "exact"}, ("binary",)),
    ("xgboost", {"objective": "count:poisson"}, ("binary", "regression")),
    ("xgboost", {"multi_strategy": "multi_output_tree"}, ("multiclass",)),
    ("catboost", {"grow_policy": "Depthwise"}, ("binary", "regression")),
    ("catboost", {"grow_policy": "Lossguide"}, ("multiclass",)),
    ("catboost", {"loss_function": "Poisson"}, ("regression",)),
    ("catboost", {"loss_function": "MAE"}, ("binary",)),
    ("lightgbm", {"boosting": "rf"}, ("binary",)),
    ("lightgbm", {"linear_tree": True}, ("regression",)),
    ("lightgbm", {"application": "poisson"}, ("regression",)),
    ("hist_boosting", {"loss": "gamma"}, ("regression",)),
]


@pytest.mark.parametrize(
    ("name", "options", "kind"), [(name, options, kind) for name, options, kinds in REFUSED for kind in kinds]
)
def test_an_option_that_the_graph_cannot_repeat_is_refused_when_it_is_declared_and_when_it_is_fitted(
    name: str, options: dict[str, Any], kind: Any, data: Training
) -> None:
    (option, value) = next(iter(options.items()))
    task = Task(kind, ("a", "b") if kind == "multiclass" else ())
    refused = pytest.raises(
        ValueError, match=rf"family '{name}' cannot be exported with {option}: {value!r} for .*{kind}"
    )

    with refused:
        Space(family(name), fixed=options).require(task)
    with refused:
        y, y_valid = (part.astype("float64" if kind == "regression" else "int16") for part in (data.y, data.y_valid))
        family(name).fit(replace(data, y=y, y_valid=y_valid, task=task), options, seed=0)


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("xgboost", {"tree_method": "approx"}, "binary"),
        ("catboost", {"loss_function": "Huber:delta=1"}, "regression"),
        ("lightgbm", {"boosting": "dart"}, "binary"),
        ("hist_boosting", {"loss": "absolute_error"}, "regression"),
    ],
)
def test_an_option_that_the_graph_repeats_is_not(name: str, options: dict[str, Any], kind: Any) -> None:
    Space(family(name), fixed=options).require(Task(kind))
    Space(family(name)).require(Task(kind))
