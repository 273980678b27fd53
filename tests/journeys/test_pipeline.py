"""The whole path of a small use case: every asset, its coordinates, its gates."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
import yaml

import sextant
from assets.framework.case import Case
from assets.graph import all_assets
from assets.stages.predictions import rows_to_score
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from dagster_project.results.locate import NotFoundError, locate
from resources.bentos import BentoStore, ask
from resources.storage import Storage, find
from resources.tracking.runs import tracking
from tests.support.packaged import pyfunc

ROOT = Path(__file__).parents[2]


def case(name: str = "breast_cancer", **changes: Any) -> Case:
    declared = yaml.safe_load((ROOT / "configs" / name / "defs.yaml").read_text())["attributes"]
    return Case(name, UseCase.model_validate({**declared, **changes}))


def materialize(which: Case, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(all_assets(which), resources=resources(), instance=instance, raise_on_error=False, **options)


SPLIT = {"train_until": "2024-01-01", "validate_until": "2024-02-01"}
QUICK = {"models": {"logistic": {"trials": 1}}}


@pytest.mark.slow
def test_every_asset_materializes_and_answers_for_itself(home: Path) -> None:
    instance = dg.DagsterInstance.get()

    assert materialize(case(), instance).success

    keys = {key.to_user_string().partition("/")[2] for key in instance.get_asset_keys()}
    assert keys == {
        "raw/samples", "examples", "feature_definitions", "features/development", "feature_selection", "features/test",
        "models/logistic", "models/lightgbm", "models/mlp", "leaderboard", "onnx_model", "evaluation",
        "production_model", "predictions", "online_state", "bento", "profile",
    }  # fmt: skip
    for key in instance.get_asset_keys():
        found = locate(key.to_user_string(), tracking())
        assert found["run"]["asset"] == key.to_user_string()
        assert found["config"]["value"]["description"].startswith("Is a tumour malignant?")
        run = tracking().client().get_run(found["run"]["mlflow"])
        assert run.info.status == "FINISHED"
        assert run.data.tags["sextant.coordinates"] == found["id"]
    bento = Storage().load(find(instance, dg.AssetKey(["breast_cancer", "bento"])))
    assert locate(bento.tag, tracking())["run"]["asset"] == "breast_cancer/bento"
    assert locate("breast_cancer@champion", tracking())["run"]["asset"] == "breast_cancer/onnx_model"
    assert locate("breast_cancer:1", tracking())["id"] == locate("breast_cancer@champion", tracking())["id"]
    with pytest.raises(NotFoundError, match="'breast_cancer@challenger' has coordinates"):
        locate("breast_cancer@challenger", tracking())

    rows = Storage().load(find(instance, dg.AssetKey(["breast_cancer", "predictions"])))
    samples = Storage().load(find(instance, dg.AssetKey(["breast_cancer", "raw", "samples"]))).to_pandas()
    record = json.loads(samples.drop(columns=["sample_id", "diagnosis"]).iloc[7].to_json())
    with BentoStore().serve(bento.tag) as url:
        answer = ask(url, record)
        with urlopen(f"{url}/coordinates") as response:
            told = json.load(response)
    assert answer["score"] == pytest.approx(rows.set_index("sample_id").loc[7, "score"], abs=1e-5)
    assert answer["model"] == "breast_cancer:1"
    champion = locate("breast_cancer@champion", tracking())
    assert (told["id"], told["run"]) == (champion["id"], champion["run"])
    assert told["data"] == {name: loaded["hash"] for name, loaded in champion["data"].items()}
    assert answer["coordinates"] == champion["id"]
    assert (told["bento"]["tag"], told["bento"]["id"]) == (bento.tag, bento.coordinates)
    alone = sextant.model("breast_cancer@champion").predict(record)
    assert alone["score"].tolist() == [answer["score"]]
    by_mlflow = pyfunc(tracking(), "models:/breast_cancer@champion").predict(samples.iloc[[7]])
    assert by_mlflow["score"].tolist() == [answer["score"]]

    shutil.rmtree(home / "bentoml")
    assert materialize(case(), instance, selection=[case().key("bento")]).success
    made_again = Storage().load(find(instance, case().key("bento")))
    assert BentoStore().has(made_again.tag)


def test_unchanged_work_is_reused_and_unforced_work_is_not_repeated(home: Path) -> None:
    instance, small = dg.DagsterInstance.get(), case(**QUICK)
    selection = dg.AssetSelection.assets(small.key("leaderboard")).upstream()

    assert materialize(small, instance, selection=selection).success
    second = materialize(small, instance, selection=selection)
    forced = materialize(small, instance, selection=selection, tags={"sextant/reuse": "never"})
    declared = materialize(case(**QUICK, reuse="never"), instance, selection=selection)

    def reused(result: dg.ExecuteInProcessResult) -> set[str]:
        made = [event.materialization for event in result.get_asset_materialization_events()]
        return {each.asset_key.path[-1] for each in made if "reused" in each.metadata}

    assert reused(second) == {
        "examples", "feature_definitions", "development", "feature_selection", "logistic", "leaderboard"
    }  # fmt: skip
    assert reused(forced) == reused(declared) == set()


def test_a_lost_or_damaged_result_is_made_again(home: Path) -> None:
    instance, small = dg.DagsterInstance.get(), case(**QUICK)
    selection = dg.AssetSelection.assets(small.key("leaderboard")).upstream()
    assert materialize(small, instance, selection=selection).success
    stored = {name: find(instance, small.key(name)) for name in ("examples", "features/development")}
    (home / "storage" / stored["examples"].path).unlink()
    (home / "storage" / stored["features/development"].path).write_bytes(b"something else")

    again = materialize(small, instance, selection=selection)

    assert again.success
    for version in stored.values():
        Storage().load(version)


def test_batch_rows_have_the_cutoff_that_the_model_was_made_for_and_those_without_one_are_left_out() -> None:
    def declared(cutoff: str) -> Case:
        examples = {"table": "rows", "cutoff": cutoff, "target": "y", "split": SPLIT}
        tables = {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "at"}}
        about = {"description": "Which?", "tables": tables, "examples": examples, "score": {"where": "id > 1"}}
        return Case("case", UseCase.model_validate({**about, **QUICK}))

    noon = datetime(2024, 3, 1, 12)
    table = pa.table({"id": [1, 2, 3], "at": [noon, noon, None], "y": [True, False, True]})

    rows = rows_to_score(declared("at - 30m"), declared("at - 2h").spec, {"rows": table})

    assert rows.to_dict("list") == {"id": [2], "cutoff": [pd.Timestamp("2024-03-01 10:00")]}


def test_training_never_depends_on_the_test_rows() -> None:
    graph = dg.Definitions(assets=all_assets(case()), resources=resources()).resolve_asset_graph()

    for key in graph.get_all_asset_keys():
        if key.path[1] in ("models", "leaderboard", "onnx_model"):
            assert case().key("features/test") not in graph.get_ancestor_asset_keys(key), key


def test_a_champion_with_other_features_is_compared_on_the_same_rows(home: Path) -> None:
    instance, all_columns = dg.DagsterInstance.get(), case(**QUICK)
    until = dg.AssetSelection.assets(all_columns.key("production_model")).upstream()
    assert materialize(all_columns, instance, selection=until).success
    fewer = case(**QUICK, features={"ignore": ["mean_radius"]}, gates={"champion": {"not_worse_by": 1.0}})

    assert materialize(fewer, instance, selection=until).success

    found = Storage().load(find(instance, fewer.key("evaluation")))
    assert found.champion_version == "1"
    assert found.incomparable is None
    assert found.champion_metrics["roc_auc"] > 0.9
    assert found.comparison.lower <= found.comparison.difference


def test_results_lie_in_object_storage_where_that_is_configured(home: Path, s3: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("SEXTANT_STORAGE_URL", f"{s3}/results")
    instance, small = dg.DagsterInstance.get(), case(**QUICK)
    selection = dg.AssetSelection.assets(small.key("leaderboard")).upstream()

    assert materialize(small, instance, selection=selection).success

    board = Storage(url=f"{s3}/results").load(find(instance, small.key("leaderboard")))
    assert board.candidate == "logistic"
    assert not (home / "storage").exists()


def test_the_matrix_says_of_each_feature_what_feeds_it_and_that_nothing_leaks(home: Path) -> None:
    instance, small = dg.DagsterInstance.get(), case(**QUICK)
    until = dg.AssetSelection.assets(small.key("features/development")).upstream()

    for _ in range(2):  # made, then reused
        result = materialize(small, instance, selection=until)
        made = {each.asset_key: each.metadata for each in asset_materializations(result)}
        metadata = made[small.key("features/development")]
        checks = {(each.asset_key, each.check_name): each.passed for each in result.get_asset_check_evaluations()}

        columns = {column.name: column.description for column in metadata["dagster/column_schema"].value.columns}
        lineage = metadata["dagster/column_lineage"].value.deps_by_column
        assert columns["mean_radius"] == "from samples.mean_radius"
        assert lineage["mean_radius"] == [dg.TableColumnDep(small.key("raw/samples"), "mean_radius")]
        assert checks[small.key("features/development"), "no_feature_alone_predicts_the_target"]
        assert all(checks.values())
    assert "reused" in metadata


def asset_materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    return [event.materialization for event in result.get_asset_materialization_events()]
