"""A class of the user's own is a family by what it has, whether it derives from Family or not."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.models.base import Family, FittedModel, Training
from ml.models.catalogue import family
from ml.models.family import thresholds_of
from ml.search.evaluator import Evaluator, Fitter, Job
from tests.support import toy

OWN = """
from ml.models.base import Family, FittedModel, Training
from tests.support.toy import Weighing

class Least:
    name, devices, tasks = "least", ("cpu",), ("binary",)
    def suggest(self, trial):
        return {"weight": trial.suggest_float("weight", 0.0, 1.0)}
    def defaults(self):
        return {"weight": 0.5}
    def fit(self, data, params, *, seed, device="cpu", threads=1):
        return Weighing(params["weight"])

class Able(Least):
    name, requires = "able", ("no_such_package",)
    def good(self):
        return [{"weight": 0.9}]
    def prepare(self, data):
        return 0.25
    def settled(self, settings, model):
        return {**settings, "weight": model.weight}
    def fit(self, data, params, *, seed, device="cpu", threads=1, prepared=None, watch=None):
        watch(1.0, 0.5)
        return Weighing(prepared)

class Derived(Family):
    name, tasks = "derived", ("binary",)
    suggest, defaults, fit = Able.suggest, Able.defaults, Able.fit
    prepare, settled = Able.prepare, Able.settled

class Empty(Family):
    name, tasks = "empty", ("binary",)
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_abilities.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_class_that_has_the_least_has_the_defaults_of_a_family() -> None:
    chosen = family("own_abilities:Least")

    assert isinstance(chosen, Family)
    assert (chosen.name, chosen.devices, chosen.tasks, chosen.requires) == ("least", ("cpu",), ("binary",), ())
    assert (chosen.good(), chosen.settles) == ([], False)
    assert not any(map(chosen.takes, ("prepared", "watch", "checkpoints", "report")))
    with pytest.raises(TypeError, match="'least' stops by the validation rows"):
        chosen.settled({}, None)


@pytest.mark.parametrize("name", ["Able", "Derived"])
def test_what_a_class_is_able_to_do_is_used(name: str) -> None:
    chosen = family(f"own_abilities:{name}")
    part = toy.problem().parts[0]

    outcome = Evaluator(Fitter(chosen, 0), (part,), "roc_auc")(Job(0, {"weight": 0.5}))

    assert outcome.losses == ((0.5, 0.5),)
    assert chosen.settles
    assert chosen.settled({"a": 1}, toy.Weighing(0.3)) == {"a": 1, "weight": 0.3}
    assert chosen.good() == ([{"weight": 0.9}] if name == "Able" else [])
    assert [chosen.takes(keyword) for keyword in ("prepared", "watch", "report")] == [True, True, False]
    assert pickle.loads(pickle.dumps(chosen)).name == chosen.name


def test_a_class_that_derives_from_family_and_adds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the method `suggest`; .*`defaults`; .*`fit`\. See ml\.models\.family"):
        family("own_abilities:Empty")


def test_a_model_that_tells_no_thresholds_has_none() -> None:
    class Jumping(toy.Weighing):
        def thresholds(self) -> dict[int, np.ndarray]:
            return {0: np.ones(1, np.float32)}

    plain: Any = toy.Weighing(0.5)
    jumping: Any = Jumping(0.5)

    assert thresholds_of(plain) == {}
    assert list(thresholds_of(jumping)) == [0]


def test_documented_names_are_importable_from_the_documented_module() -> None:
    assert [documented.__module__ for documented in (Family, FittedModel, Training)] == ["ml.models.family"] * 3
