"""One coordinate changes at a time, and locate, diff and reproduce name that one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

import ml.coordinates
import ml.source
from assets.step import Case
from assets.use_case import all_assets
from dagster_project.cli import main
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from dagster_project.diff import changed_coordinates
from dagster_project.locate import locate
from resources.ledger import Ledger
from resources.tracking import tracking

BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the code location pins them, so that runs in this process have the environment of a reproduction."""
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 300)
    frame = pd.DataFrame({"id": range(300), "x": (y + random.normal(size=300)).round(3), "y": y})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def declared(rows: Path, **changes: Any) -> dict[str, Any]:
    return {
        "description": "Which?",
        "tables": {"rows": {"source": {"path": str(rows)}, "key": "id"}},
        "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"logistic": {"trials": 1}},
        "gates": {"champion": {"not_worse_by": 1.0}},
        **changes,
    }


def materialize(attributes: dict[str, Any], until: str = "predictions") -> str:
    """The id of the evaluation after a run."""
    case = Case("small", UseCase.model_validate(attributes))
    selection = dg.AssetSelection.assets(case.key(until)).upstream()
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize(all_assets(case), resources=resources(), instance=instance, selection=selection).success
    return str(locate("small/evaluation", tracking())["id"])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def changed(first: str, second: str) -> set[str]:
    """The coordinates that differ anywhere in two chains, of those that the chain itself does not bring about."""
    ledger, found = Ledger(), set[str]()
    chains = [{r["run"]["asset"]: i for _, i, r in ledger.upstream(each)} for each in (first, second)]
    for asset in chains[0].keys() & chains[1].keys():
        found |= set(changed_coordinates(*(ledger.get(chain[asset]) for chain in chains)))
    return found - {"data"}


def test_a_result_beside_itself_differs_in_nothing(home: Path, rows: Path) -> None:
    first = materialize(declared(rows))

    shown = run("diff", first, first).output

    assert "data, code, config, environment and seed are the same" in shown
    assert "result       identical" in shown


def test_one_cell_of_data(home: Path, rows: Path) -> None:
    first = materialize(declared(rows))
    frame = pd.read_csv(rows)
    frame.loc[7, "x"] += 1
    pd.concat([frame, frame.tail(1).assign(id=300)]).to_csv(rows, index=False)
    second = materialize(declared(rows))

    shown = run("diff", first, second).output

    assert changed(first, second) == set()
    assert "data\n  small/raw/rows: 300 and 301 rows, 2 rows added, 1 rows removed" in shown
    for other in ("code, from", "config, from", "environment, from", "seed, from"):
        assert other not in shown


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"models": {"logistic": {"trials": 2}}}, "config", "models.logistic.trials: 1 and 2"),
        ({"seed": 5}, "seed", "  0 and 5"),
    ],
)
def test_one_value_of_the_declaration(changes: dict[str, Any], name: str, said: str, home: Path, rows: Path) -> None:
    first, second = materialize(declared(rows)), materialize(declared(rows, **changes))

    shown = run("diff", first, second).output

    assert changed(first, second) == {name}
    assert f"{name}, from small/raw/rows on\n" in shown
    assert said in shown
    assert "roc_auc" in shown


def test_one_package_version(home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = materialize(declared(rows))
    installed = {**ml.coordinates._installed(), "lightgbm": "0.0.1"}
    monkeypatch.setattr(ml.coordinates, "_installed", lambda: installed)
    second = materialize(declared(rows))

    shown = run("diff", first, second).output

    assert changed(first, second) == {"environment"}
    assert 'distributions.lightgbm: "4' in shown
    assert 'and "0.0.1"' in shown
    assert "identical" in shown


@pytest.mark.slow
def test_one_helper_function_and_a_reproduction_of_both(
    home: Path, rows: Path, tmp_path: Path, copy_project: Callable[[Path], Path]
) -> None:
    first = materialize(declared(rows))
    project = copy_project(tmp_path / "project")
    for other in ("breast_cancer", "flight_delays"):
        shutil.rmtree(project / "configs" / other)
    (project / "configs" / "small").mkdir()
    declaration = {"type": "dagster_project.components.UseCase", "attributes": declared(rows)}
    (project / "configs" / "small" / "defs.yaml").write_text(yaml.safe_dump(declaration))
    helper = project / "ml" / "features.py"
    text = helper.read_text()
    line = 'values.to_numpy(dtype="float64", na_value=np.nan) if numeric'
    assert line in text
    helper.write_text(text.replace(line, f"2 * {line}"))
    command = [str(BIN / "dagster"), "asset", "materialize", "-m", "dagster_project.definitions", "--select"]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run([*command, 'key:"small/*" and not key:"small/bento"'], cwd=project, env=environment)
    assert done.returncode == 0
    second = str(locate("small/evaluation", tracking())["id"])

    shown = run("diff", first, second).output
    reproductions = [run("reproduce", identity, "--json") for identity in (first, second)]

    assert changed(first, second) == {"code"}
    assert "code, from small/feature_definitions on" in shown
    assert f"2 * {line}" in shown
    for reproduction in reproductions:
        assert reproduction.exit_code == 0, reproduction.output
        table = json.loads(reproduction.stdout)
        assert {row["verdict"] for row in table} == {"identical"}
        assert {row["asset"] for row in table} >= {"small/raw/rows", "small/features/test", "small/evaluation"}


@pytest.mark.slow
def test_a_reproduction_that_differs_names_the_first_asset_and_the_coordinate(home: Path, rows: Path) -> None:
    """The archive is swapped for one with another helper: as if the wrong source had been recorded."""
    first = materialize(declared(rows))
    archive = next((home / "archive").glob("*.tar.xz"))
    changed_source = ml.source.Source.read()
    name = "ml/features.py"
    line = b'values.to_numpy(dtype="float64", na_value=np.nan) if numeric'
    files = {**changed_source.files, name: changed_source.files[name].replace(line, b"2 * " + line)}
    archive.write_bytes(ml.source.Source(changed_source.root, files).archive())

    done = run("reproduce", first)

    assert done.exit_code == 1
    assert "small/features/development is the first that differs: its code differ" in done.output
    assert "identical  small/examples" in done.output
    assert "different  small/features/development" in done.output


def test_what_is_missing_is_named(home: Path, rows: Path) -> None:
    first = materialize(declared(rows), until="evaluation")
    snapshot = Ledger().records[next(i for _, i, r in Ledger().upstream(first) if r["run"]["asset"].endswith("rows"))]
    stored = home / "storage" / snapshot["result"]["path"]
    content = stored.read_bytes()

    stored.unlink()
    missing = run("reproduce", first)
    stored.write_bytes(content)
    shutil.rmtree(home / "archive")
    unarchived = run("reproduce", first)

    assert missing.exit_code == 1
    assert "small/raw/rows: " in missing.output
    assert "is missing; materialize the asset that makes it again" in missing.output
    assert unarchived.exit_code == 1
    assert "is not archived" in unarchived.output


@pytest.mark.slow
def test_a_reproduction_that_does_not_run_leaves_its_log(home: Path, rows: Path) -> None:
    first = materialize(declared(rows), until="evaluation")
    source = ml.source.Source.read()
    files = {**source.files, "ml/features.py": b"raise RuntimeError('no features today')\n"}
    next((home / "archive").glob("*.tar.xz")).write_bytes(ml.source.Source(source.root, files).archive())

    done = run("reproduce", first)

    log = home / "logs" / "reproduce.log"
    assert done.exit_code == 1
    assert f"the run failed; its log is {log}" in done.output
    assert "no features today" in log.read_text()


def test_a_result_whose_file_is_gone_is_named(home: Path, rows: Path) -> None:
    first = materialize(declared(rows), until="evaluation")
    (home / "storage" / Ledger().records[first]["result"]["path"]).unlink()

    done = run("diff", first, first)

    assert done.exit_code == 1
    assert "Error: " in done.output
    assert "is missing; materialize the asset that makes it again" in done.output
