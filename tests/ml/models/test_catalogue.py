"""Particulars of tree families: exact routing, threads, extras; and families of the user's own."""

import os
import pickle
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ml.declaration.catalogue import CATALOGUE
from ml.declaration.models import Models
from ml.exported.onnx import export, measure_parity, session
from ml.models import extras
from ml.models.catalogue import family, require_packages
from ml.models.family import Training
from ml.models.trees.graph import Leaf, Split, floored, thresholds, tree_graph
from ml.provenance.source import outside, running
from ml.search.tuning import tune
from ml.tasks.encoding import Encoder
from ml.tasks.task import Kind, Task

TREES = ("random_forest", "extra_trees", "hist_boosting", "xgboost", "catboost")
SMALL = {
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 20},
    "hist_boosting": {"rounds": 20},
    "xgboost": {"rounds": 20},
    "catboost": {"rounds": 20},
}
NUMERIC, CATEGORICAL = ["a", "b", "big", "zero"], ["c", "d"]
OWN = """
from ml.models.catalogue import family

class MyForest:
    name, devices, tasks = "my_forest", ("cpu",), ("binary",)
    def __init__(self):
        self.inner = family("extra_trees")
    def suggest(self, trial):
        return {"max_features": trial.suggest_float("max_features", 0.1, 1.0)}
    def defaults(self):
        return {"max_features": 0.5}
    def fit(self, data, params, *, seed, device="cpu", threads=1):
        return self.inner.fit(data, {"n_estimators": 10, **params}, seed=seed, device=device, threads=threads)

class Half:
    name, tasks = "half", ("ranking",)
    def suggest(self, trial):
        return {}
    def fit(self, data, params):
        return None
"""


@pytest.mark.parametrize("package", ["catboost", "xgboost"])
def test_what_is_skipped_elsewhere_is_tested_in_ci(package: str) -> None:
    if find_spec(package) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("pip install '.[boosters]'")


@pytest.fixture(params=TREES)
def name(request: pytest.FixtureRequest) -> str:
    for package in CATALOGUE[request.param].requires:
        pytest.importorskip(package, reason="pip install '.[boosters]'")
    return str(request.param)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers far from zero, tiny ones and missing ones; categories in many levels."""
    rng = np.random.default_rng(0)
    rows = 3000
    levels = [*(f"k{level}" for level in range(40)), None]
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=rows),
            "b": rng.normal(size=rows).round(1),
            "big": rng.integers(0, 10**9, rows).astype(float),
            "zero": rng.choice([-1.0, 0.0, 1e-36, 1.0], rows),
            "c": rng.choice(levels, rows),
            "d": rng.choice(["u", "v"], rows),
        }
    )
    hit = frame["c"].isin(["k0", "k2", "k7", "k33"])
    worth = frame["a"] + 2 * hit + (frame["big"] > 5e8) + rng.normal(0, 0.5, rows)
    frame["binary"] = (worth > 0.5).astype("int8")
    frame["multiclass"] = np.where(hit, "red", np.where(worth > 0, "green", "blue"))
    frame["regression"] = 100 + 20 * worth
    frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
    return frame


def training(frame: pd.DataFrame, kind: Kind) -> Training:
    train, valid = frame[:2000], frame[2000:]
    encoder, task = Encoder.fit(train, NUMERIC, CATEGORICAL), Task.of(kind, train[kind])
    y, y_valid = (task.labels(rows[kind]) for rows in (train, valid))
    return Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


def small(name: str) -> dict[str, object]:
    return family(name).defaults() | SMALL[name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("rows", [60, 2000], ids=["levels that training lacks", "all levels"])
def test_onnx_routes_every_row_as_the_trees_do(name: str, kind: Kind, rows: int, frame: pd.DataFrame) -> None:
    data = training(frame, kind)
    model = family(name).fit(data.sample(rows, seed=0), small(name), seed=1)

    parity = measure_parity(model, data.encoder, export(model, data.encoder, {}, data.task), frame[2000:])

    parity.raise_for_drift()
    assert parity.largest_difference < 4e-6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_threads_do_not_change_a_byte(name: str, kind: Kind, frame: pd.DataFrame) -> None:
    data = training(frame, kind)

    models = [family(name).fit(data, small(name), seed=1, threads=threads) for threads in (1, 1, 2)]

    assert len({pickle.dumps(model) for model in models}) == 1


def test_the_seed_matters(name: str, frame: pd.DataFrame) -> None:
    data = training(frame, "binary")

    first, other = (family(name).fit(data, small(name), seed=seed).predict(data.X_valid) for seed in (1, 2))

    assert not np.array_equal(first, other)


@pytest.mark.slow
def test_a_suggestion_has_the_same_names_as_the_defaults(name: str, frame: pd.DataFrame) -> None:
    tuned = tune(name, training(frame, "binary").sample(100, seed=0), trials=2, seed=0)

    assert tuned.trials[1].params.keys() == family(name).defaults().keys()


def test_a_threshold_is_the_last_float32_that_goes_left() -> None:
    values = np.array([0.1, 1.0, -0.1, 1e9 + 0.5, 1e300, np.inf])

    floors = floored(values)

    assert (floors.astype(np.float64) <= values).all()
    assert (np.nextafter(floors[:4], np.float32(np.inf)).astype(np.float64) > values[:4]).all()


def test_neutral_trees_split_on_numbers_sets_and_missing_values() -> None:
    tree = [Split(0, 1.0, 1, 2, True), Leaf((10.0,)), Split(1, (0.0, 2.0), 3, 4, False), Leaf((20.0,)), Leaf((30.0,))]
    X = np.array([[1, 0], [np.nextafter(np.float32(1), np.float32(2)), 0], [2, 2], [2, 1], [2, np.nan], [np.nan, 1]])

    graph = session(tree_graph([tree, tree], Task("regression"), features=2, base=[0.5]).SerializeToString())

    assert graph.run(None, {"X": X.astype(np.float32)})[0].ravel().tolist() == [20.5, 40.5, 40.5, 60.5, 60.5, 20.5]
    assert {feature: values.tolist() for feature, values in thresholds([tree]).items()} == {0: [1.0]}


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda package: None)

    with pytest.raises(ValueError, match=r"'xgboost' cannot run: the package 'xgboost' is not installed: pip install"):
        require_packages("xgboost")
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[boosters\]'"):
        family("catboost").fit(training(frame, "binary"), {}, seed=0)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own, called own_families."""
    folder = tmp_path / "own_families"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "models.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    outside.cache_clear()
    yield folder
    outside.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_family_of_the_users_own_is_tuned_like_any_other(package: Path, frame: pd.DataFrame) -> None:
    tuned = tune("own_families.models:MyForest", training(frame, "binary"), trials=2, seed=0)

    assert tuned.family == "own_families.models:MyForest"
    assert tuned.score > 0.8


def test_a_class_that_is_no_family_is_refused_with_what_it_lacks(package: Path) -> None:
    with pytest.raises(ValueError, match="no model family") as refusal:
        family("own_families.models:Half")

    for part in ("the attribute `devices`", "the method `defaults`", "['ranking'] are none of", "`fit` does not take"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own_families.models:Nothing", "has no class 'Nothing'"),
        ("own_families.nothing:Mine", "there is no module 'own_families.nothing'. Put it into a package"),
        ("no_such_package.models:Mine", "there is no module 'no_such_package'"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_ends(reference: str, message: str, package: Path) -> None:
    with pytest.raises(ValueError, match=message):
        family(reference)


def test_the_source_of_a_package_outside_of_the_project_is_part_of_the_code(package: Path) -> None:
    before = running().hash("ml.tasks.metrics", "own_families.models")
    (package / "models.py").write_text(OWN + "# changed\n")
    outside.cache_clear()

    assert running().hash("ml.tasks.metrics", "own_families.models") != before
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'"):
        running().hash("no_such_package.models")


def test_a_declaration_names_built_in_families_and_references() -> None:
    models = Models.model_validate({"lightgbm": {}, "my_package.nets:MyNet": {"trials": 7}, "ensemble": {}})

    assert models.names == ["lightgbm", "my_net", "ensemble"]
    assert models.families["my_net"].trials == 7
    assert models.references == {"my_net": "my_package.nets:MyNet"}
    assert Models.model_validate(models.model_dump(mode="json")) == models


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"lightgmb": {}}, "unknown key 'lightgmb', did you mean 'lightgbm'"),
        ({"a.b:Mine": {"trial": 1}}, "unknown key 'trial', did you mean 'trials'"),
        ({"a.b:Mine": {}, "c.d:Mine": {}}, r"would be called \['mine'\]"),
        ({"a.b:Ridge": {}}, r"would be called \['ridge'\]"),
        ({"lightgbm": {}, "ensemble": {}}, r"at least two families; declared: \['lightgbm'\]"),
        (
            {"lightgbm": {}, "mlp": {"refit": "train_and_validation"}, "ensemble": {}},
            "needs the same refit of all its families; declared: {'lightgbm': 'train', 'mlp': 'train_and_validation'}",
        ),
    ],
)
def test_a_wrong_name_of_a_family_is_refused(models: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Models.model_validate(models)
