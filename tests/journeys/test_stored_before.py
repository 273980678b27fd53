"""What the first version of the project stored still loads, locates, reproduces, rolls back, serves and searches on."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import optuna
import pytest
from click.testing import CliRunner

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.commands.main import main
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from dagster_project.results.locate import locate
from ml.exported.model import ExportedModel
from ml.search.tuning import TunedModel
from resources.bentos import BentoStore, ask
from resources.kinds import KINDS, class_of
from resources.ledger import Ledger
from resources.storage import Storage, Stored
from resources.studies import Studies
from resources.tracking.runs import tracking
from tests.support.small import asked

FAMILIES = ("logistic", "lightgbm", "mlp", "random_forest", "ensemble")


def test_every_stored_kind_names_a_class_that_is_there() -> None:
    assert [class_of(kind).__qualname__ for kind in KINDS] == [place.partition(":")[2] for place in KINDS.values()]


def test_every_result_loads(former: Path) -> None:
    records = Ledger().records.values()

    kinds = {type(Storage().load(Stored(**record["result"]))).__name__ for record in records}

    assert len(records) == 36
    assert kinds == {
        "Table", "DataFrame", "bytes", "dict", "Evaluation", "FeatureDefinitions", "Leaderboard", "PackagedBento",
        "ProductionModel", "SelectedFeatures", "TunedModel",
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_answers_as_it_did_on_the_validation_rows(former: Path, family: str) -> None:
    ledger, storage = Ledger(), Storage()
    tuned: TunedModel = storage.load(ledger.latest_result(f"small/models/{family}"))
    rows = storage.load(ledger.latest_result("small/features/development"))
    valid = rows[rows["split"] == "validation"]

    answers = tuned.model.predict(tuned.encoder.encode(valid))

    np.testing.assert_allclose(answers, tuned.valid_predictions, rtol=0, atol=1e-6)


def test_things_are_located_by_all_their_names(former: Path) -> None:
    champion = locate("small@champion", tracking())

    assert champion["run"]["asset"] == "small/onnx_model"
    assert champion["config"]["value"]["description"] == "Which?"
    assert locate("small:2", tracking())["id"] == champion["id"]
    assert locate("small@previous", tracking())["id"] == locate("small:1", tracking())["id"] != champion["id"]
    assert locate("small/evaluation", tracking())["run"]["asset"] == "small/evaluation"
    tag = f"small:{(former / 'bentoml' / 'bentos' / 'small' / 'latest').read_text()}"
    assert locate(tag, tracking())["run"]["asset"] == "small/bento"


def test_the_registered_models_answer(former: Path) -> None:
    rows = Storage().load(Ledger().latest_result("small/features/test"))

    for version in ("1", "2"):
        scores = ExportedModel(tracking().onnx("small", version)).scores(rows)
        assert scores.shape == (len(rows),)
        assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.slow
def test_the_bentos_serve(former: Path) -> None:
    for folder in sorted((former / "bentoml" / "bentos" / "small").glob("*/")):
        golden = json.loads((folder / "src" / "bundle" / "golden.json").read_text())
        with BentoStore().serve(f"small:{folder.name}") as url:
            answer = ask(url, golden["records"][0])
        assert answer["score"] == pytest.approx(golden["scores"][0], abs=1e-5)


def test_the_studies_are_there_with_their_trials(former: Path) -> None:
    names = {record["labels"]["study"] for record in Ledger().records.values() if "study" in record["labels"]}

    trials = {name: len(optuna.load_study(study_name=name, storage=Studies().storage()).trials) for name in names}

    assert len(trials) == 8
    assert set(trials.values()) == {1, 2}


def test_an_earlier_champion_is_rolled_back_to(former: Path) -> None:
    evaluated = Ledger().get(str(Ledger().latest_of("small/evaluation")))
    attributes = {**evaluated["config"]["value"], "seed": evaluated["seed"]}
    case = Case("small", UseCase.model_validate(attributes))
    decision = asked(rollback="1")

    with dg.DagsterInstance.get() as instance:
        done = dg.materialize(
            all_assets(case),
            resources=resources(),
            instance=instance,
            selection=dg.AssetSelection.assets(*map(case.key, ("production_model", "predictions"))),
            run_config={"ops": {"small__production_model": {"config": decision}}},
        )

    assert done.success
    assert tracking().version("small", "champion") == "1"
    scored = Storage().load(Ledger().latest_result("small/predictions"))
    assert set(scored["model_version"]) == {"1"}


@pytest.mark.slow
def test_a_result_is_reproduced(former: Path) -> None:
    done = CliRunner().invoke(main, ["reproduce", "small@champion", "--json"])

    assert done.exit_code == 0, done.output
    table = json.loads(done.stdout)
    assert {row["verdict"] for row in table} == {"identical"}
    assert {row["asset"] for row in table} > {"small/onnx_model", "small/evaluation", "small/models/ensemble"}
