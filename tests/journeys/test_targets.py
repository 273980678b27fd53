"""Several targets of one use case, from the declaration to every way of being answered; none is built into an image."""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from datetime import timedelta
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
from dagster_project.results.gc import garbage
from dagster_project.scoring.score import score
from ml.evaluation.record import Evaluation
from ml.exported.model import ExportedModel
from ml.features.definitions import FeatureDefinitions
from ml.search.tuning import TunedModel
from ml.tasks.task import Task
from resources.bentos import BentoStore
from resources.ledger import Ledger
from resources.storage import storage
from resources.studies import studies
from resources.tracking.pyfunc import signature
from resources.tracking.runs import tracking
from service.http.app import Application
from service.http.served import Served
from tests.support.labelled import TARGETS, declared, frame
from tests.support.packaged import Unbuilt, pyfunc
from tests.support.small import copy_home

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would have httpx2
    from starlette.testclient import TestClient

MODELS = {"logistic": {"trials": 2}, "hist_boosting": {"trials": 1}, "ensemble": {"rounds": 3}}
RECORD = ["region", "x", "z"]


def materialize(name: str, until: str, **changes: Any) -> None:
    case = Case(name, UseCase.model_validate(declared(**{"models": MODELS, **changes})))
    selection = dg.AssetSelection.assets(case.key(until)).upstream()
    with dg.DagsterInstance.get() as instance:
        given = {**resources(), "bentos": Unbuilt()}
        assert dg.materialize(all_assets(case), resources=given, instance=instance, selection=selection).success


@pytest.fixture(scope="module", autouse=True)
def made(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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
        yield folder


@pytest.fixture
def home(made: Path) -> None:
    """The home of this module in place of one of the test's own."""


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the home for a test that changes it; returns where the rows are."""
    copy_home(made / "home", tmp_path / "home")
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    return str(made / "rows.csv")


def result(asset: str) -> Any:
    return storage().load(Ledger().latest_result(asset))


def model() -> ExportedModel:
    return ExportedModel(tracking().onnx("three", "1"))


def served_bundle() -> Served:
    served = Served()
    served.load(BentoStore().bundle("three"))
    return served


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
    served = served_bundle()
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
    assert list(answers) == list(mlflow) == signature(exported).outputs.input_names() == [
        *(f"probability_{name}" for name in TARGETS), *(f"decision_{name}" for name in TARGETS), "warnings"
    ]  # fmt: skip
    assert "score" not in scored


def test_the_service_answers_with_a_probability_and_a_decision_by_the_threshold_of_each_target() -> None:
    sent = records(frame()[:3])
    cuts = dict(zip(TARGETS, model().thresholds, strict=True))

    with TestClient(Application(served_bundle())) as service:
        one = service.post("/predict", json=sent[0]).json()
        many = service.post("/predict", json={"records": sent}).json()
        described = service.get("/schema").json()["description"]

    assert list(one) == ["probabilities", "decisions", "thresholds", "model", "coordinates", "id", "warnings"]
    assert one["thresholds"] == many["thresholds"] == cuts
    assert one["decisions"] == {name: one["probabilities"][name] >= cut for name, cut in cuts.items()}
    assert (many["probabilities"][0], many["decisions"][0]) == (one["probabilities"], one["decisions"])
    assert len(many["probabilities"]) == len(many["decisions"]) == len(many["warnings"]) == 3
    assert all(f"{name} {cut}" in described for name, cut in cuts.items())


def test_no_target_is_a_feature_for_another() -> None:
    definitions: FeatureDefinitions = result("three/feature_definitions")

    assert {feature.name for feature in definitions.features} == {"x", "z", "region"}
    assert set(definitions.record) == {"x", "z", "region"}


def test_the_evaluation_has_each_target_and_their_means_and_the_report_shows_both() -> None:
    evaluation: Evaluation = result("three/evaluation")

    assert set(evaluation.targets) == set(TARGETS)
    assert evaluation.metrics["roc_auc"] == pytest.approx(
        np.mean([alone.metrics["roc_auc"] for alone in evaluation.targets.values()])
    )
    assert evaluation.serving is not None
    assert evaluation.serving.parity < 1e-5
    report = sextant.model("three").report()
    assert re.findall(r'<h2 id="target-(\w+)">', report.html) == list(TARGETS)


def test_an_answer_is_explained_for_the_target_that_is_named() -> None:
    rows, served = frame()[:4], sextant.model("three")

    explanation = served.explain(rows, target="upgrade")

    assert explanation.answers.tolist() == served.predict(rows)["probability_upgrade"].tolist()
    sums = explanation.base + explanation.values.sum(axis=1).to_numpy()
    assert sums == pytest.approx(explanation.answers, abs=1e-6)
    with pytest.raises(sextant.SextantError, match=r"three:1 answers several targets; name the one to explain"):
        served.explain(rows)
    with pytest.raises(sextant.SextantError, match="has no target 'sold' beside those that it answers"):
        served.explain(rows, target="sold")


def test_the_profile_says_of_which_target_a_column_tells_most() -> None:
    profile = result("three/profile")

    told = {column.name: column.target for column in profile.columns}
    assert (told["x"], told["z"]) == ("churn", "upgrade")
    assert set(told) == {"x", "z", "region"}
    assert profile.targets == TARGETS


def test_the_studies_of_all_targets_are_kept_with_their_model() -> None:
    kept = [name for name in studies().last_used() if name.startswith("three/logistic/")]

    assert sorted(name.rpartition("/")[2] for name in kept) == sorted(TARGETS)
    pieces = garbage(Ledger(), storage(), BentoStore(), tracking(), studies(), timedelta(0))
    assert not [piece.path for piece in pieces if piece.kind == "study"]


def test_a_candidate_is_compared_with_the_champion_on_each_target_and_on_all(copied: str) -> None:
    worse = {"logistic": {"trials": 1, "search": {"C": 0.0001}}}

    materialize("three", "evaluation", path=copied, models=worse)

    evaluation: Evaluation = result("three/evaluation")
    assert evaluation.champion_version == "1"
    assert evaluation.comparison is not None
    apart = [alone.comparison for alone in evaluation.targets.values()]
    assert evaluation.comparison.difference == pytest.approx(
        np.mean([comparison.difference for comparison in apart if comparison])
    )
    assert {part.name: part.against_champion is not None for part in evaluation.slices} == {
        f"target = {name}": True for name in TARGETS
    }


def test_a_champion_of_other_targets_cannot_be_compared(copied: str) -> None:
    materialize("three", "evaluation", path=copied, target=TARGETS[:2], models={"logistic": {"trials": 1}})

    evaluation: Evaluation = result("three/evaluation")
    assert evaluation.incomparable == (
        "it answers binary of the targets churn, upgrade, complaint, the candidate binary of the targets churn, upgrade"
    )
