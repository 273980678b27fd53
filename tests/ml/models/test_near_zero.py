"""Numbers far from zero are learned and answered as well as numbers near it, by every family, in ONNX too."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.catalogue import CATALOGUE
from ml.exported.onnx import export, measure_parity, session
from ml.models.catalogue import family
from ml.models.custom import Adapted
from ml.models.family import Family, FittedModel, Training
from ml.models.linear import FittedLinear, Ridge
from ml.models.near_zero import Move, Moved, move_of
from ml.search.ensemble import FittedEnsemble, Member
from ml.search.tuning import tune
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task

random = np.random.default_rng(0)
FRAME = pd.DataFrame(random.normal(size=(400, 3)), columns=list("abc"))
ENCODER = Encoder.fit(FRAME, list("abc"), [])
A = FRAME["a"].to_numpy()
NUMBERS = Task("regression")
FAMILIES = [name for name, entry in CATALOGUE.items() if "regression" in entry.tasks and name != "cnn"]
FEW: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 20},
    "mlp": {"epochs": 2},
    "resnet": {"epochs": 2},
    **{name: {"rounds": 20} for name in ("hist_boosting", "lightgbm", "xgboost", "catboost")},
}
TARGETS = {
    "near zero": A,
    "a year, 2015 and a few": np.round(2015 + 3 * A),
    "a latitude in a town": 48.137 + 0.01 * A,
    "a UTM northing in metres": 4.8649e6 + 100 * A,
    "a meter's readings": 1.2e7 + 50 * A,
    "unix seconds": 1.7e9 + 3600 * A,
    "below zero": -1e7 + A,
    "noise": 100 + random.normal(size=400),
    "tiny": 1e-35 * A,
    "huge": 1e36 + 1e33 * A,
    "a thousandth at a billion": 1e9 + 1e-3 * A,
    "a few last digits": -1e9 + 1e-6 * A,
    "beyond whole doubles": 1e17 + 1e4 * A,
    "one other": np.where(np.arange(400) % 50 == 0, 1e6 + 1e-3, 1e6),
}


def data_of(y: np.ndarray) -> Training:
    X = ENCODER.encode(FRAME)
    return Training(X[:300], y[:300], X[300:], y[300:], ENCODER, NUMBERS)


def fitted(name: str, y: np.ndarray) -> FittedModel:
    chosen = family(name)
    return chosen.fit(data_of(y), chosen.defaults() | FEW.get(name, {}), seed=0)


def worst(model: FittedModel) -> float:
    parity = measure_parity(model, ENCODER, export(model, ENCODER, {}, NUMBERS), FRAME)
    return parity.largest_difference


# Every family learns some of them, and the quick ones all.
ALL = [(name, what) for name in ("ridge", "random_forest", "lightgbm") for what in TARGETS]
FAR = ("a UTM northing in metres", "a thousandth at a billion", "one other")
SOME = [(name, what) for name in FAMILIES for what in FAR if (name, what) not in ALL]


@pytest.mark.parametrize(("name", "what"), ALL + SOME)
def test_every_family_exports_what_it_learned_of_numbers_anywhere(name: str, what: str) -> None:
    assert worst(fitted(name, TARGETS[what])) <= 1e-5


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("mlp", "resnet")])
def test_what_is_learned_does_not_depend_on_where_the_numbers_lie(name: str) -> None:
    near, far = (fitted(name, y).predict(ENCODER.encode(FRAME)) for y in (A, 2.0**23 + A))

    assert far - 2.0**23 == pytest.approx(near, abs=1e-4)


@pytest.mark.parametrize("spread", [1e-5, 1e-10])
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("mlp", "resnet")])
def test_what_is_learned_does_not_depend_on_how_small_the_spread_is(name: str, spread: float) -> None:
    usual, tiny = (fitted(name, y).predict(ENCODER.encode(FRAME)) for y in (A, spread * A))

    assert np.corrcoef(usual, tiny)[0, 1] > 0.99
    assert np.ptp(tiny) == pytest.approx(spread * np.ptp(usual), rel=0.05)


@pytest.mark.parametrize("factor", [1e200, -1e305, 1e-300])
def test_numbers_whose_squares_double_cannot_hold_are_no_labels(factor: float) -> None:
    with pytest.raises(ValueError, match=r"The training labels are .* Expected numbers of which double holds"):
        data_of(factor * A)


def test_an_ensemble_adds_up_numbers_far_from_zero_in_double() -> None:
    y = TARGETS["a UTM northing in metres"]
    members = tuple(Member(name, weight, fitted(name, y)) for name, weight in (("ridge", 0.3), ("lightgbm", 0.7)))

    assert worst(FittedEnsemble(members, 3, NUMBERS)) <= 1e-5


class Logarithmic(Family):
    """Learns the logarithm of a target, as a class of the user's own may."""

    name, tasks = "logarithmic", ("regression",)

    def fit(self, data: Training, params: Any, *, seed: int, device: str = "cpu", threads: int = 1) -> Any:
        assert (data.y > 0).all()
        return Ridge().fit(replace(data, y=np.log(data.y), y_valid=np.log(data.y_valid)), {"alpha": 1.0}, seed=seed)


class Plain:
    """A class that does not derive from Family, and fits a scikit-learn pipeline."""

    name, devices, tasks = "plain", ("cpu",), ("regression",)

    def fit(self, data: Training, params: Any, *, seed: int, device: str = "cpu", threads: int = 1) -> FittedLinear:
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LinearRegression
        from sklearn.pipeline import make_pipeline

        return FittedLinear(make_pipeline(SimpleImputer(), LinearRegression()).fit(data.X, data.y), 3, data.task)


def test_a_class_of_the_users_own_learns_numbers_far_from_zero_near_it() -> None:
    model = Adapted(Plain()).fit(data_of(TARGETS["a UTM northing in metres"]), {}, seed=0)

    assert isinstance(model, Moved)
    assert worst(model) <= 1e-5


def test_a_class_of_the_users_own_sees_other_numbers_as_they_are_and_all_if_it_says_so() -> None:
    positive = np.exp(A)
    seen = Logarithmic().fit(data_of(positive), {}, seed=0)
    assert not isinstance(seen, Moved) or seen.move.offset == pytest.approx(A[:300].mean())  # of the ridge inside

    far = 1e6 + positive
    with pytest.raises(AssertionError):
        Logarithmic().fit(data_of(far), {}, seed=0)
    as_they_are = type("AsTheyAre", (Logarithmic,), {"near_zero": False})
    as_they_are().fit(data_of(far), {}, seed=0)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_stay_where_they_are(kind: Any) -> None:
    task = Task(kind, ("u", "v", "w") if kind == "multiclass" else ())
    y = (np.arange(400) % max(2, len(task.classes))).astype("int16")
    data = replace(data_of(A), y=y[:300], y_valid=y[300:], task=task)

    assert move_of(data, True) == Move()
    assert not isinstance(family("logistic").fit(data, {"C": 1.0}, seed=0), Moved)


def test_the_score_is_double_and_the_same_bytes_come_out_again() -> None:
    first, second = (export(fitted("lightgbm", TARGETS["unix seconds"]), ENCODER, {}, NUMBERS) for _ in range(2))

    (score,) = session(first).get_outputs()
    assert score.type == "tensor(double)"
    assert first == second


@pytest.mark.parametrize("name", ["lightgbm", "mlp"])
def test_a_moved_model_has_all_that_the_model_has_and_settles(name: str) -> None:
    y = TARGETS["a UTM northing in metres"]
    chosen, model = family(name), fitted(name, y)
    settings = chosen.defaults()
    again = pickle.loads(pickle.dumps(model))

    assert isinstance(model, Moved)
    assert np.array_equal(again.predict(ENCODER.encode(FRAME)), model.predict(ENCODER.encode(FRAME)))
    assert chosen.settled(settings, model) == chosen.settled(settings, model.model) != settings
    with pytest.raises(AttributeError):
        model.nothing  # noqa: B018


def test_what_all_fits_share_is_near_zero_too() -> None:
    data, chosen = data_of(TARGETS["unix seconds"]), family("lightgbm")
    shared: Any = chosen.fit(data, chosen.defaults(), seed=0, prepared=chosen.prepare(data))  # type: ignore[call-arg]
    alone: Any = chosen.fit(data, chosen.defaults(), seed=0)

    assert shared == alone


def test_a_search_far_from_zero_finds_what_one_near_it_does() -> None:
    tuned = tune("ridge", data_of(TARGETS["a UTM northing in metres"]), trials=2, seed=0, metric="rmse")

    assert tuned.score < 10  # of a spread of 100
