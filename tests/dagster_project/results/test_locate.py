"""Every result leads to its coordinates, whatever it has become: an id, a page, a plot, a file under another name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.commands.main import main
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from dagster_project.results.locate import NotFoundError, locate
from resources.ledger import Ledger
from resources.storage import Storage, find
from resources.tracking.runs import tracking

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def case() -> Case:
    declared = yaml.safe_load((ROOT / "configs" / "breast_cancer" / "defs.yaml").read_text())["attributes"]
    return Case("breast_cancer", UseCase.model_validate({**declared, "models": {"logistic": {"trials": 1}}}))


@pytest.fixture(scope="module")
def instance(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """Make everything but the Bento, in a home that the tests of this module only read."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        (home / "dagster").mkdir()
        (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        patch.setenv("SEXTANT_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with dg.DagsterInstance.get() as instance:
            selection = dg.AssetSelection.assets(case.key("predictions")).upstream()
            assets = all_assets(case)
            assert dg.materialize(assets, resources=resources(), instance=instance, selection=selection).success
            yield instance


def file_of(case: Case, instance: dg.DagsterInstance, asset: str, folder: Path, name: str) -> Path:
    """Copy an asset's file, under another name."""
    return Path(shutil.copy(Storage().uri(find(instance, case.key(asset))), folder / name))


def artifact(case: Case, instance: dg.DagsterInstance, name: str, folder: Path) -> Path:
    run = locate("breast_cancer/evaluation", tracking())["run"]["mlflow"]
    return Path(tracking().client().download_artifacts(run, name, str(folder)))


def asset_of(thing: object) -> str:
    return str(locate(str(thing), tracking())["run"]["asset"])


@pytest.mark.parametrize("name", ["report.html", "report.json", "ROC curve.png"])
def test_what_the_evaluation_shows_leads_to_it(
    name: str, case: Case, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    file = artifact(case, instance, name, tmp_path)

    assert asset_of(file) == "breast_cancer/evaluation"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [("report.html", "judged on", "judged upon"), ("report.json", '"family": "logistic"', '"family": "mlp"')],
)
def test_a_report_that_was_edited_says_so(
    name: str, right: str, wrong: str, case: Case, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    file = artifact(case, instance, name, tmp_path)
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))

    with pytest.raises(NotFoundError, match="it was edited since"):
        locate(str(file), tracking())


@pytest.mark.parametrize(
    ("asset", "name"),
    [("onnx_model", "x.onnx"), ("predictions", "p.parquet"), ("raw/samples", "r.parquet"), ("leaderboard", "l.json")],
)
def test_a_stored_file_leads_to_its_asset_under_any_name(
    asset: str, name: str, case: Case, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert asset_of(file_of(case, instance, asset, tmp_path, name)) == f"breast_cancer/{asset}"


def test_a_model_and_predictions_that_were_written_anew_still_know(
    case: Case, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    import onnx

    model = file_of(case, instance, "onnx_model", tmp_path, "x.onnx")
    changed = onnx.load(model)
    changed.doc_string = "a note"
    onnx.save(changed, model)
    rows = file_of(case, instance, "predictions", tmp_path, "p.parquet")
    pq.write_table(pq.read_table(rows).slice(0, 3), rows)

    assert asset_of(model) == "breast_cancer/onnx_model"
    assert asset_of(rows) == "breast_cancer/predictions"


def test_names_of_runs_and_models_lead_to_results(case: Case, instance: dg.DagsterInstance) -> None:
    evaluation = locate("breast_cancer/evaluation", tracking())
    run = evaluation["run"]["mlflow"]

    for thing in (evaluation["id"], run, f"http://127.0.0.1:5000/#/experiments/1/runs/{run}",
                  f"http://host/#/experiments/1/runs/{run}/artifacts/report.html"):  # fmt: skip
        assert locate(thing, tracking())["id"] == evaluation["id"]
    for thing in ("breast_cancer@champion", "breast_cancer:1"):
        assert asset_of(thing) == "breast_cancer/onnx_model"


@pytest.mark.parametrize(
    "thing", ["0123456789abcdef", "breast_cancer/none", "breast_cancer:7", "breast_cancer@other", "f" * 32, "nothing"]
)
def test_what_is_not_there_lists_what_is_allowed(thing: str, instance: dg.DagsterInstance) -> None:
    with pytest.raises(NotFoundError, match=f"nothing called '{thing}' .* allowed: a coordinates id"):
        locate(thing, tracking())


@pytest.mark.parametrize(
    ("thing", "meant"),
    [
        ("breast_cancer", "did you mean breast_cancer/evaluation, breast_cancer/examples"),
        ("breast_cancer/", "did you mean breast_cancer/evaluation"),
        ("breast_cancer/evaluaton", "did you mean breast_cancer/evaluation"),
        ("breast_cancer@chapion", "did you mean breast_cancer@champion"),
        ("brest_cancer@champion", "did you mean breast_cancer@champion"),
        ("breast_cancer:2", "breast_cancer:1"),
    ],
)
def test_a_name_that_is_nearly_right_says_what_was_meant(thing: str, meant: str, instance: dg.DagsterInstance) -> None:
    with pytest.raises(NotFoundError, match=meant):
        locate(thing, tracking())


def test_a_folder_says_that_it_is_one_and_a_link_leads_where_it_points(
    case: Case, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Path(Storage().uri(find(instance, case.key("onnx_model"))))
    (tmp_path / "link").symlink_to(stored)
    (tmp_path / "broken").symlink_to(tmp_path / "absent")
    monkeypatch.chdir(stored.parent.parent)

    assert locate(str(tmp_path / "link"), tracking())["run"]["asset"] == "breast_cancer/onnx_model"
    assert locate(f"onnx_model/../onnx_model/{stored.name}", tracking())["run"]["asset"] == "breast_cancer/onnx_model"
    for thing, why in ((str(stored.parent), "is a folder: name a file in it"), (str(tmp_path / "broken"), "allowed: ")):
        with pytest.raises(NotFoundError, match=why):
            locate(thing, tracking())


def test_a_file_from_another_home_says_so(
    case: Case, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = artifact(case, instance, "report.html", tmp_path)
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "other"))

    with pytest.raises(NotFoundError, match="was made in another Sextant home"):
        locate(str(file), tracking())


@pytest.fixture
def copied(case: Case, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that the test may change."""
    shutil.copytree(os.environ["SEXTANT_HOME"], tmp_path / "home")
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def store_again(home: Path, asset: str, other: str, identity: str) -> Path:
    """Store the latest result of an asset as a later one of another asset, and return its file."""
    record = Ledger().records[str(locate(asset, tracking())["id"])]
    path = f"{other}/{Path(record['result']['path']).name}"
    text = json.dumps({**record, "id": identity, "made_at": "2999-01-01"}).replace(asset, other)
    (home / "coordinates" / f"{identity}.json").write_text(text)
    (home / "storage" / path).parent.mkdir(parents=True)
    return Path(shutil.copy(home / "storage" / record["result"]["path"], home / "storage" / path))


def test_a_file_of_the_storage_belongs_to_the_asset_that_it_was_stored_for(copied: Path, tmp_path: Path) -> None:
    raw, other = locate("breast_cancer/raw/samples", tracking()), "0" * 16
    later = store_again(copied, "breast_cancer/raw/samples", "other/raw/samples", other)
    path = raw["result"]["path"]
    (tmp_path / "link.parquet").symlink_to(copied / "storage" / path)

    for thing in (copied / "storage" / path, tmp_path / "link.parquet", path):
        assert locate(str(thing), tracking())["id"] == raw["id"]
    assert locate(str(later), tracking())["id"] == other


def test_a_file_that_several_results_have_names_all_of_them(copied: Path, tmp_path: Path) -> None:
    raw, other = locate("breast_cancer/raw/samples", tracking()), "0" * 16
    later = store_again(copied, "breast_cancer/raw/samples", "other/raw/samples", other)
    elsewhere = shutil.copy(later, tmp_path / "x.parquet")

    found = [locate(str(file), tracking()) for file in (copied / "storage" / raw["result"]["path"], elsewhere)]
    shown = CliRunner().invoke(main, ["locate", str(elsewhere)], catch_exceptions=False).output

    assert [(record["id"], record["same_bytes"]) for record in found] == [(raw["id"], [other]), (other, [raw["id"]])]
    assert f"the same bytes\n  {raw['id']}  breast_cancer/raw/samples" in shown


def test_a_page_and_what_is_stored_beside_a_result_lead_to_it(copied: Path, tmp_path: Path) -> None:
    evaluation = locate("breast_cancer/evaluation", tracking())
    page, figures = evaluation["labels"]["report"], evaluation["attached"]["figures"]["path"]

    for path in (page, figures):
        copy = shutil.copy(copied / "storage" / path, tmp_path / Path(path).name)
        assert [locate(str(file), tracking())["id"] for file in (copied / "storage" / path, copy)] == [
            evaluation["id"]
        ] * 2


@pytest.mark.parametrize("asset", ["onnx_model", "raw/samples", "evaluation"])
def test_a_file_of_the_storage_that_is_damaged_says_so(copied: Path, asset: str) -> None:
    record = locate(f"breast_cancer/{asset}", tracking())
    file = copied / "storage" / record["result"]["path"]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with pytest.raises(NotFoundError, match=f"damaged: a result of breast_cancer/{asset}, {record['id']}, was stored"):
        locate(str(file), tracking())


def test_a_version_that_no_run_has_promoted_leads_to_its_model(copied: Path) -> None:
    """As one that waits for its approval, and as the champion of a step that was killed after it moved the alias."""
    model, client = locate("breast_cancer:1", tracking())["id"], tracking().client()
    tags, source = {"sextant.coordinates": model}, client.get_model_version("breast_cancer", "1").source
    version = str(client.create_model_version("breast_cancer", source, tags=tags).version)
    for alias in ("challenger", "champion"):
        client.set_registered_model_alias("breast_cancer", alias, version)

    for thing in (f"breast_cancer:{version}", "breast_cancer@challenger", "breast_cancer@champion"):
        assert locate(thing, tracking())["id"] == model


def test_a_version_that_was_deleted_is_located_by_its_promotion(copied: Path) -> None:
    model, client = locate("breast_cancer:1", tracking())["id"], tracking().client()
    client.delete_registered_model("breast_cancer")

    assert locate("breast_cancer:1", tracking())["id"] == model


def test_the_chain_goes_down_to_the_snapshot_and_up_to_what_used_it(case: Case, instance: dg.DagsterInstance) -> None:
    ledger, raw = Ledger(), locate("breast_cancer/raw/samples", tracking())["id"]
    evaluation = locate("breast_cancer/evaluation", tracking())["id"]

    chain = {record["run"]["asset"].partition("/")[2]: identity for _, identity, record in ledger.upstream(evaluation)}
    users = {record["run"]["asset"].partition("/")[2] for _, record in ledger.dependents(raw)}

    assert set(chain) == {
        "onnx_model", "features/development", "features/test", "examples", "raw/samples", "feature_definitions",
        "feature_selection", "models/logistic", "leaderboard",
    }  # fmt: skip
    assert chain["raw/samples"] == raw
    assert users == {
        "examples",
        "feature_definitions",
        "features/development",
        "features/test",
        "evaluation",
        "predictions",
    }


def test_a_command_that_locates_what_is_local_imports_no_mlflow(case: Case, instance: dg.DagsterInstance) -> None:
    code = "import sys; from dagster_project.commands.main import main; "
    code += "main(['locate', sys.argv[1]], standalone_mode=False); "
    code += "print(sorted({'mlflow', 'sqlalchemy'} & set(sys.modules)))"

    for thing in ("breast_cancer@champion", "breast_cancer:1", "breast_cancer/evaluation"):
        done = subprocess.run([sys.executable, "-c", code, thing], cwd=ROOT, capture_output=True, text=True, check=True)

        assert done.stdout.splitlines()[-1] == "[]"


def test_the_alias_is_the_one_that_mlflow_knows(case: Case, instance: dg.DagsterInstance) -> None:
    client = tracking().client()
    client.set_registered_model_alias("breast_cancer", "Tried", "1")

    for alias in ("champion", "Tried"):
        version = client.get_model_version_by_alias("breast_cancer", alias)
        assert tracking().version("breast_cancer", alias) == str(version.version)
        assert locate(f"breast_cancer@{alias}", tracking())["id"] == version.tags["sextant.coordinates"]


def test_the_command_prints_coordinates_chain_and_links(case: Case, instance: dg.DagsterInstance) -> None:
    shown = CliRunner().invoke(main, ["locate", "breast_cancer@champion"], catch_exceptions=False).output
    as_json = CliRunner().invoke(main, ["locate", "breast_cancer@champion", "--json"], catch_exceptions=False).output

    for word in ("breast_cancer/onnx_model, model breast_cancer:1", "made from", "breast_cancer/raw/samples", "used by",
                 "breast_cancer/production_model", "/assets/breast_cancer/onnx_model", "source ", "seed"):  # fmt: skip
        assert word in shown
    record = json.loads(as_json)
    assert record["config"]["value"]["models"]["logistic"]["trials"] == 1
    assert record["environment"]["distributions"]["dagster"]


def test_the_source_is_archived_under_the_name_that_coordinates_give(case: Case, instance: dg.DagsterInstance) -> None:
    import tarfile

    tree = locate("breast_cancer/evaluation", tracking())["code"]["tree"]

    with tarfile.open(Path(os.environ["SEXTANT_HOME"]) / "archive" / f"{tree}.tar.xz") as archive:
        member = archive.extractfile("ml/evaluation/record.py")
        assert member is not None
        assert member.read() == (ROOT / "ml" / "evaluation" / "record.py").read_bytes()
