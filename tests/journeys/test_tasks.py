"""Use cases whose answer is a class of many or a number, from the table to the answer of the service."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import yaml

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from resources.bentos import BentoStore, ask
from resources.storage import Storage, find

ROOT = Path(__file__).parents[2]


def case(name: str, **changes: Any) -> Case:
    declared = yaml.safe_load((ROOT / "configs" / name / "defs.yaml").read_text())["attributes"]
    return Case(name, UseCase.model_validate({**declared, **changes}))


def materialize(which: Case, *until: str) -> dg.ExecuteInProcessResult:
    selection = dg.AssetSelection.assets(*map(which.key, until)).upstream()
    return dg.materialize(all_assets(which), resources=resources(), instance=instance(), selection=selection)


def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.get()


def stored(which: Case, asset: str) -> Any:
    return Storage().load(find(instance(), which.key(asset)))


def records(which: Case, table: str, *hidden: str) -> list[dict[str, Any]]:
    """Return the first rows of a raw table as a service is asked about them."""
    rows = stored(which, f"raw/{table}").to_pandas().drop(columns=list(hidden)).head(3)
    return list(json.loads(rows.to_json(orient="records")))


@pytest.mark.slow
def test_a_regression_is_predicted_and_served(home: Path) -> None:
    diabetes = case("diabetes", models={"ridge": {"trials": 1}})

    assert materialize(diabetes, "bento", "predictions").success

    rows, evaluation = stored(diabetes, "predictions").set_index("patient_id"), stored(diabetes, "evaluation")
    assert set(evaluation.metrics) == {"rmse", "mae", "r2"}
    assert evaluation.target["mean"] == pytest.approx(152, abs=20)
    questions = records(diabetes, "patients", "patient_id", "progression")
    with BentoStore().serve(stored(diabetes, "bento").tag) as url:
        answer = ask(url, {"records": questions})
    assert answer["scores"] == pytest.approx(rows["score"].loc[[0, 1, 2]].tolist(), abs=1e-3)
    assert 25 < rows["score"].mean() < 346


@pytest.mark.slow
def test_classes_are_predicted_and_served(home: Path) -> None:
    digits = case("digits", models={"logistic": {"trials": 1}})

    assert materialize(digits, "bento", "predictions").success

    rows, evaluation = stored(digits, "predictions").set_index("image_id"), stored(digits, "evaluation")
    names = [f"probability_{digit}" for digit in range(10)]
    assert evaluation.metrics["accuracy"] > 0.93
    assert sum(evaluation.target.values()) == pytest.approx(1)
    assert rows[names].sum(axis=1).to_numpy() == pytest.approx(np.ones(len(rows)), abs=1e-6)
    assert (rows["score"] == rows[names].max(axis=1)).all()
    assert (rows["class"] == rows[names].idxmax(axis=1).str.removeprefix("probability_")).all()
    questions = records(digits, "images", "image_id", "digit")
    with BentoStore().serve(stored(digits, "bento").tag) as url:
        answer = ask(url, questions[2])
    assert answer["class"] == rows["class"].loc[2]
    assert list(answer["probabilities"].values()) == pytest.approx(rows[names].loc[2].tolist(), abs=1e-5)


def test_a_champion_of_other_classes_is_incomparable(home: Path) -> None:
    quick: dict[str, Any] = {"models": {"logistic": {"trials": 1}}, "gates": {}}
    whole = case("digits", **quick)
    declared = whole.spec.examples.model_dump()
    fewer = case("digits", **quick, examples={**declared, "where": "digit < 4"})

    assert materialize(fewer, "predictions").success
    assert materialize(whole, "evaluation").success

    evaluation = stored(whole, "evaluation")
    assert evaluation.comparison is None
    assert evaluation.incomparable.startswith(
        "it answers multiclass of the classes 0, 1, 2, 3, the candidate multiclass of"
    )
