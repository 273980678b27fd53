"""A result is made again from its coordinates alone; where it is not, the reason is named."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import ml.provenance.source
from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.commands.main import main
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from resources.ledger import Ledger
from tests.support.small import Small


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def archive_another(home: Path, name: str, old: bytes, new: bytes) -> None:
    """Swap the archived source for one with another line: as if the wrong one had been recorded."""
    source = ml.provenance.source.Source.read()
    assert old in source.files[name]
    files = {**source.files, name: source.files[name].replace(old, new)}
    next((home / "archive").glob("*.tar.xz")).write_bytes(ml.provenance.source.Source(source.root, files).archive())


@pytest.mark.slow
def test_a_reproduction_that_differs_names_the_first_asset_and_the_coordinate(small: Small) -> None:
    first = small.materialize()
    line = b"column.to_numpy()"
    archive_another(small.home, "ml/features/matrix.py", line, b"2 * " + line)

    done = run("reproduce", first)

    assert done.exit_code == 1
    assert "small/features/development is the first that differs: its code differ" in done.output
    assert "identical  small/examples" in done.output
    assert "different  small/features/development" in done.output


def test_what_is_missing_is_named(small: Small) -> None:
    first = small.materialize(until="evaluation")
    snapshot = Ledger().records[next(i for _, i, r in Ledger().upstream(first) if r["run"]["asset"].endswith("rows"))]
    stored = small.home / "storage" / snapshot["result"]["path"]
    content = stored.read_bytes()

    stored.unlink()
    missing = run("reproduce", first)
    stored.write_bytes(content[:-1])
    damaged = run("reproduce", first)
    stored.write_bytes(content)
    shutil.rmtree(small.home / "archive")
    unarchived = run("reproduce", first)

    assert missing.exit_code == 1
    assert "small/raw/rows: " in missing.output
    assert "is missing; materialize the asset that makes it again" in missing.output
    assert damaged.exit_code == 1
    assert "small/raw/rows: " in damaged.output
    assert "is damaged: " in damaged.output
    assert "else take it from a backup" in damaged.output
    assert unarchived.exit_code == 1
    assert "is not archived" in unarchived.output


@pytest.mark.slow
def test_a_reproduction_that_does_not_run_leaves_its_log(small: Small) -> None:
    first = small.materialize(until="evaluation")
    source = ml.provenance.source.Source.read()
    files = {**source.files, "ml/features/matrix.py": b"raise RuntimeError('no features today')\n"}
    next((small.home / "archive").glob("*.tar.xz")).write_bytes(
        ml.provenance.source.Source(source.root, files).archive()
    )

    done = run("reproduce", first)

    log = small.home / "logs" / "reproduce.log"
    assert done.exit_code == 1
    assert f"the run failed; its log is {log}" in done.output
    assert "no features today" in log.read_text()


@pytest.mark.slow
def test_a_model_that_began_where_another_ended_is_made_again_with_that_one(small: Small) -> None:
    declared = {"warm_start": "last", "search": {"C": {"low": 0.5, "high": 3.0}}}
    small.materialize(until="models/logistic", models={"logistic": {**declared, "trials": 2}})
    small.materialize(until="models/logistic", models={"logistic": {**declared, "trials": 3}})
    identity = str(Ledger().latest_of("small/models/logistic"))
    earlier = Ledger().records[identity]["data"]["warm start"]["coordinates"]

    done = run("reproduce", identity, "--json")

    assert done.exit_code == 0, done.output
    verdicts = {row["coordinates"]: row["verdict"] for row in json.loads(done.stdout)}
    assert verdicts[identity] == verdicts[earlier] == "identical"
    assert len(verdicts) > 5


@pytest.mark.slow
def test_predictions_on_newer_data_than_the_model_was_trained_on(small: Small) -> None:
    small.materialize()
    frame = pd.read_csv(small.rows)
    frame.assign(x=frame["x"] + 1).to_csv(small.rows, index=False)
    case = Case("small", UseCase.model_validate(small.declared()))
    later = dg.AssetSelection.assets(case.key("raw/rows"), case.key("predictions"))
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize(all_assets(case), resources=resources(), instance=instance, selection=later).success

    done = run("reproduce", "small/predictions", "--json")

    table = json.loads(done.stdout)
    snapshots = {row["coordinates"] for row in table if row["asset"] == "small/raw/rows"}
    assert done.exit_code == 0
    assert {row["verdict"] for row in table} == {"identical"}
    assert len(snapshots) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("tolerance", "verdict", "status"), [(0.01, "equal", 0), (1e-9, "different", 1)])
def test_a_family_that_is_not_exact_agrees_within_its_tolerance(
    tolerance: float, verdict: str, status: int, small: Small
) -> None:
    small.materialize(models={"logistic": {"trials": 1, "tolerance": tolerance}})
    was, other = b"MAX_ITERATIONS, **params}", b'MAX_ITERATIONS, **params, "C": 1.001 * params["C"]}'
    archive_another(small.home, "ml/models/linear.py", was, other)

    done = run("reproduce", "small@champion", "--json")

    verdicts = {row["asset"].partition("/")[2]: row for row in json.loads(done.stdout)}
    assert done.exit_code == status
    assert verdicts["features/development"]["verdict"] == "identical"
    for asset in ("models/logistic", "onnx_model", "predictions"):
        assert verdicts[asset]["verdict"] == verdict
    assert "scores of 240 rows within " in verdicts["onnx_model"]["detail"]
