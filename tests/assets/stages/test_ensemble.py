"""A use case with an ensemble and a family of the user's own, from the models to the candidate in ONNX."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from assets import reads
from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.exported.onnx import described, predict, session
from ml.models import extras
from resources.storage import Storage, find
from tests.support.small import Small

ROOT = Path(__file__).parents[3]
OWN = """
from ml.models.linear import Ridge

class FlatRidge(Ridge):
    def defaults(self):
        return {"alpha": 100.0}
"""


def case(models: dict[str, Any]) -> Case:
    declared = yaml.safe_load((ROOT / "configs" / "diabetes" / "defs.yaml").read_text())["attributes"]
    return Case("diabetes", UseCase.model_validate({**declared, "models": models}))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "ridges_of_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "ridges_of_mine:FlatRidge"


@pytest.mark.slow
def test_an_ensemble_competes_and_can_be_the_candidate(home: Path, own: str) -> None:
    diabetes = case({"ridge": {"trials": 1}, own: {"trials": 1}, "lightgbm": {"trials": 1}, "ensemble": {}})

    done = dg.materialize(
        all_assets(diabetes),
        resources=resources(),
        instance=dg.DagsterInstance.get(),
        selection=dg.AssetSelection.assets(diabetes.key("onnx_model")).upstream(),
    )

    assert done.success
    board = Storage().load(find(dg.DagsterInstance.get(), diabetes.key("leaderboard")))
    assert {name for name, _ in board.ranking} == {"ridge", "flat_ridge", "lightgbm", "ensemble"}
    [shown] = done.asset_materializations_for_node("diabetes__models__ensemble")
    assert sum(shown.metadata["weights"].value.values()) == pytest.approx(1)
    assert "cross-fitted" in shown.metadata["selected on"].value


def test_an_ensemble_selected_on_folds_is_exported_as_the_candidate(small: Small) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(800, 3)).round(3), columns=[*"abc"])
    worth = rows["a"] + 0.7 * rows["c"] + 2.0 * (rows["b"].abs() > 1) + random.normal(0, 0.7, 800)
    rows.assign(id=range(800), y=(worth > 0.7).astype(int)).to_csv(small.rows, index=False)
    declared = {
        "logistic": {"trials": 2, "refit_seeds": 2, "keep": "mean"},
        "extra_trees": {"trials": 1},
        "ensemble": {"rounds": 10, "best": 2, "calibrate": True},
    }

    done = small.attempt("onnx_model", upstream=True, models=declared, tuning={"folds": 3})

    assert done.success
    [shown] = done.asset_materializations_for_node("small__models__ensemble")
    assert shown.metadata["selected on"].value == "out-of-fold predictions"
    board, blend, content, matrix = (
        Storage().load(find(dg.DagsterInstance.get(), dg.AssetKey(["small", *name.split("/")])))
        for name in ("leaderboard", "models/ensemble", "onnx_model", "features/development")
    )
    assert board.candidate == described(content)["sextant.family"] == "ensemble"
    assert {name.partition(".")[0] for name in blend.params} == {"logistic", "extra_trees"}
    assert shown.metadata["sharpness"].value == blend.model.sharpness != 1
    assert min(blend.params.values()) > 0
    answers = blend.model.predict(blend.encoder.encode(matrix))
    assert predict(session(content), blend.encoder, matrix) == pytest.approx(answers, abs=1e-5)


def test_what_a_blend_wants_of_the_families_is_part_of_their_coordinates_and_calibration_is_not(
    small: Small,
) -> None:
    def versions(**ensemble: Any) -> dict[str, Any]:
        models = {"logistic": {}, "lightgbm": {}, "ensemble": ensemble}
        declared = UseCase.model_validate(small.declared(models=models)).model_dump(mode="json")
        return {
            "models/logistic": reads.model("logistic").coordinate(declared)["hash"],
            "models/ensemble": reads.ENSEMBLE.coordinate(declared)["hash"],
            "study": reads.search("logistic").coordinate(declared)["hash"],
        }

    plain = versions()

    assert versions(best=1, calibrate=False) == plain
    assert {name for name, version in versions(best=2).items() if version != plain[name]} == {
        "models/logistic",
        "models/ensemble",
    }
    assert {name for name, version in versions(calibrate=True).items() if version != plain[name]} == {"models/ensemble"}


def test_no_other_model_reads_the_ensemble_and_the_leaderboard_does() -> None:
    diabetes = case({"ridge": {}, "lightgbm": {}, "ensemble": {}})
    above = {spec.key: {dep.asset_key for dep in spec.deps} for each in all_assets(diabetes) for spec in each.specs}

    assert {key.path[-1] for key, deps in above.items() if diabetes.key("models/ensemble") in deps} == {
        "leaderboard", "onnx_model",
    }  # fmt: skip
    assert diabetes.key("features/test") not in above[diabetes.key("models/ensemble")]


def test_what_a_family_cannot_do_is_said_when_the_use_case_is_loaded(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda package: None)

    for models, message in (
        ({"catboost": {}}, r"the package 'catboost' is not installed: pip install '\.\[boosters\]'"),
        ({own: {"gpu": "required"}}, "cannot train on 'cuda'"),
        ({"nowhere.models:Mine": {}}, "there is no module 'nowhere'"),
    ):
        with pytest.raises(ValueError, match=message):
            all_assets(case(models))
