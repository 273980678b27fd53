"""One coordinate changes at a time, and locate, diff and reproduce name that one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

import ml.provenance.coordinates
import ml.provenance.source
from dagster_project.commands.main import main
from dagster_project.results.diff import changed_coordinates
from dagster_project.results.locate import locate
from resources.ledger import Ledger
from resources.tracking.runs import tracking
from tests.support.small import Small

BIN = Path(sys.executable).parent


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def changed(first: str, second: str) -> set[str]:
    """Return the coordinates that differ anywhere in two chains, but for those that follow from an earlier asset."""
    ledger, names = Ledger(), set[str]()
    chains = [{r["run"]["asset"]: i for _, i, r in ledger.upstream(identity)} for identity in (first, second)]
    for asset in chains[0].keys() & chains[1].keys():
        names |= set(changed_coordinates(*(ledger.get(chain[asset]) for chain in chains)))
    return names - {"data"}


def test_a_result_beside_itself_differs_in_nothing(small: Small) -> None:
    first = small.materialize()

    shown = run("diff", first, first).output

    assert "data, code, config, environment and seed are the same" in shown
    assert "result       identical" in shown


def test_one_cell_of_data(small: Small) -> None:
    first = small.materialize()
    frame = pd.read_csv(small.rows)
    frame.loc[7, "x"] += 1
    pd.concat([frame, frame.tail(1).assign(id=300)]).to_csv(small.rows, index=False)
    second = small.materialize()

    shown = run("diff", first, second).output

    assert changed(first, second) == set()
    assert "data\n  small/raw/rows: 300 and 301 rows, 2 rows added, 1 rows removed" in shown
    for other in ("code, from", "config, from", "environment, from", "seed, from"):
        assert other not in shown


@pytest.mark.parametrize(
    ("changes", "name", "asset", "line"),
    [
        ({"models": {"logistic": {"trials": 2}}}, "config", "models/logistic", "models.logistic.trials: 1 and 2"),
        ({"seed": 5}, "seed", "raw/rows", "  0 and 5"),
    ],
)
def test_one_value_of_the_declaration(changes: dict[str, Any], name: str, asset: str, line: str, small: Small) -> None:
    first, second = small.materialize(), small.materialize(**changes)

    shown = run("diff", first, second).output

    assert changed(first, second) == {name}
    assert f"{name}, from small/{asset} on\n" in shown
    assert line in shown
    assert "roc_auc" in shown


def test_one_package_version(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small.materialize()
    installed = {**ml.provenance.coordinates._installed(), "lightgbm": "0.0.1"}
    monkeypatch.setattr(ml.provenance.coordinates, "_installed", lambda: installed)
    second = small.materialize()

    shown = run("diff", first, second).output

    assert changed(first, second) == {"environment"}
    assert 'distributions.lightgbm: "4' in shown
    assert 'and "0.0.1"' in shown
    assert "identical" in shown


@pytest.mark.slow
def test_one_helper_function_in_a_dirty_tree_and_a_reproduction_of_both_once_it_is_clean(
    small: Small, tmp_path: Path, copy_project: Callable[[Path], Path]
) -> None:
    first = small.materialize()
    project = copy_project(tmp_path / "project")
    for other in ("breast_cancer", "flight_delays"):
        shutil.rmtree(project / "configs" / other)
    (project / "configs" / "small").mkdir()
    declaration = {"type": "dagster_project.components.UseCase", "attributes": small.declared()}
    (project / "configs" / "small" / "defs.yaml").write_text(yaml.safe_dump(declaration))
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "clean"]):
        subprocess.run([*git, *arguments], check=True)
    helper = project / "ml" / "features" / "matrix.py"
    text = helper.read_text()
    line = "column.to_numpy()"
    assert line in text
    helper.write_text(text.replace(line, f"2 * {line}"))
    command = [str(BIN / "dagster"), "asset", "materialize", "-m", "dagster_project.definitions", "--select"]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run([*command, 'key:"small/*" and not key:"small/bento"'], cwd=project, env=environment)
    assert done.returncode == 0
    second = str(locate("small/evaluation", tracking())["id"])

    subprocess.run([*git, "checkout", "-q", "."], check=True)

    shown = run("diff", first, second).output
    located = run("locate", second).output
    reproductions = [run("reproduce", identity, "--json") for identity in (first, second)]

    assert "(dirty)" in located
    assert changed(first, second) == {"code"}
    assert "code, from small/features/development on" in shown
    assert f"2 * {line}" in shown
    for reproduction in reproductions:
        assert reproduction.exit_code == 0, reproduction.output
        table = json.loads(reproduction.stdout)
        assert {row["verdict"] for row in table} == {"identical"}
        assert {row["asset"] for row in table} >= {"small/raw/rows", "small/features/test", "small/evaluation"}


def test_a_result_whose_file_is_gone_is_named(small: Small) -> None:
    first = small.materialize(until="evaluation")
    (small.home / "storage" / Ledger().records[first]["result"]["path"]).unlink()

    done = run("diff", first, first)

    assert done.exit_code == 1
    assert "Error: " in done.output
    assert "is missing; materialize the asset that makes it again" in done.output
