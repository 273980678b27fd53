"""Several targets of one use case, from the declaration to every way of being answered; none is built into an image."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

import sextant
from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from dagster_project.scoring.score import score
from ml.evaluation.record import Evaluation
from ml.exported.model import ExportedModel
from ml.search.tuning import TunedModel
from ml.tasks.metrics import Task
from resources.bentos import BentoStore
from resources.ledger import Ledger
from resources.storage import storage
from resources.tracking.runs import tracking
from service.http.app import Application
from service.http.served import Served
from tests.support.labelled import TARGETS, declared, frame
from tests.support.packaged import Unbuilt, pyfunc

MODELS = {"logistic": {"trials": 2}, "hist_boosting": {"trials": 1}, "ensemble": {"rounds": 3}}
RECORD = ["region", "x", "z"]


def materialize(name: str, until: str, **changes: Any) -> None:
    case = Case(name, UseCase.model_validate(declared(models=MODELS, **changes)))
    selection = dg.AssetSelection.assets(case.key(until)).upstream()
    with dg.DagsterInstance.get() as instance:
        given = {**resources(), "bentos": Unbuilt()}
        assert dg.materialize(all_assets(case), resources=given, instance=instance, selection=selection).success


@pytest.fixture(scope="module", autouse=True)
def made(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The whole of the use case `three`, and as `one` the models of one of its targets alone."""
    folder = tmp_path_factory.mktemp("targets")
    shutil.copytree(empty_home, folder / "home")
    frame().to_csv(folder / "rows.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_HOME", str(folder / "home"))
        patch.setenv("DAGSTER_HOME", str(folder / "home" / "dagster"))
        for name, value in PINNED.items():
            patch.setenv(name, value)
        path = str(folder / "rows.csv")
        for until in ("predictions", "bento", "profile"):
            materialize("three", until, path=path)
        materialize("one", "models/ensemble", path=path, target="upgrade = 1")
        yield


@pytest.fixture
def home(made: None) -> None:
    """The home of this module in place of one of the test's own."""


def result(asset: str) -> Any:
    return storage().load(Ledger().latest_result(asset))


def model() -> ExportedModel:
    return ExportedModel(tracking().onnx("three", "1"))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return list(json.loads(rows[RECORD].to_json(orient="records")))


@pytest.mark.parametrize("family", MODELS)
def test_the_model_of_one_of_several_targets_is_that_of_a_use_case_with_this_target_alone(family: str) -> None:
    several: TunedModel = result(f"three/models/{family}")
    alone: TunedModel = result(f"one/models/{family}")

    rows = frame()
    X = alone.encoder.encode(rows)
    of_target = several.of("upgrade")
    assert (of_target.params, of_target.score, of_target.best_trial) == (alone.params, alone.score, alone.best_trial)
    assert np.array_equal(several.model.predict(X)[:, TARGETS.index("upgrade")], alone.model.predict(X))


def test_one_version_answers_all_targets_in_every_way_alike(tmp_path: Path) -> None:
    rows, exported = frame(), model()

    predictions = result("three/predictions").sort_values("id").reset_index(drop=True)
    served, client = Served(), None
    served.load(BentoStore().bundle("three"))
    many = served.require_predictor().predict(records(rows))
    answers = sextant.model("three@champion").predict(rows)
    mlflow = pyfunc(tracking(), "models:/three@champion").predict(rows[RECORD])
    rows.drop(columns=list(TARGETS)).to_csv(tmp_path / "new.csv", index=False)
    score(served.require_predictor(), [str(tmp_path / "new.csv")], str(tmp_path / "out.parquet"), lambda text: None)
    scored = pd.read_parquet(tmp_path / "out.parquet")

    scores = np.array(many.scores)
    assert exported.task == Task("binary", targets=TARGETS)
    assert len(exported.thresholds) == 3
    for at, (name, cut) in enumerate(zip(TARGETS, exported.thresholds, strict=True)):
        for table in (predictions, answers, mlflow, scored):
            assert table[f"probability_{name}"].tolist() == scores[:, at].tolist()
            assert table[f"decision_{name}"].tolist() == (scores[:, at] >= cut).tolist()
    assert list(answers) == list(mlflow) == [
        *(f"probability_{name}" for name in TARGETS), *(f"decision_{name}" for name in TARGETS), "warnings"
    ]  # fmt: skip
    assert "score" not in scored
