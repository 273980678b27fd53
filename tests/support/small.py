"""A use case that takes seconds, over a file that a test may change."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from assets.promotion.requests import name_of
from dagster_project.components import UseCase
from dagster_project.definitions import PINNED, resources
from resources.ledger import Ledger
from resources.tracking.runs import Tracking, tracking


class Small:
    """The use case `small` over `rows`, a CSV file, in the Sextant home `home`."""

    def __init__(self, home: Path, rows: Path) -> None:
        self.home, self.rows = home, rows

    def declared(self, **changes: Any) -> dict[str, Any]:
        return {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": str(self.rows)}, "key": "id"}},
            "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"logistic": {"trials": 1}},
            "evaluation": {"resamples": 50, "importance_rows": 50, "shap_rows": 10, "worst_slices": 0},
            "gates": {"champion": {"not_worse_by": 1.0, "rows": 2}},
            **changes,
        }

    def materialize(self, until: str = "predictions", **changes: Any) -> str:
        """The id of the evaluation after a run."""
        case = Case("small", UseCase.model_validate(self.declared(**changes)))
        selection = dg.AssetSelection.assets(case.key(until)).upstream()
        with dg.DagsterInstance.get() as instance:
            done = dg.materialize(all_assets(case), resources=resources(), instance=instance, selection=selection)
        assert done.success
        return str(Ledger().latest_of("small/evaluation"))

    def attempt(
        self,
        *assets: str,
        upstream: bool = False,
        config: Mapping[str, str] | None = None,
        tracked: Tracking | None = None,
        **changes: Any,
    ) -> dg.ExecuteInProcessResult:
        """A run of some assets alone, or with all that they are made from; `config` is for production_model."""
        case = Case("small", UseCase.model_validate(self.declared(**changes)))
        selection = dg.AssetSelection.assets(*map(case.key, assets))
        given = {"ops": {"small__production_model": {"config": dict(config)}}} if config else None
        with dg.DagsterInstance.get() as instance:
            return dg.materialize(
                all_assets(case),
                resources=resources() | ({"tracking": tracked} if tracked else {}),
                instance=instance,
                selection=selection.upstream() if upstream else selection,
                run_config=given,
                raise_on_error=False,
            )

    def champion(self) -> str | None:
        """The version that carries the alias."""
        return tracking().version("small", "champion")


def asked(**action: str) -> dict[str, str]:
    """The config of a decision of somebody who sees what there is now."""
    about = {"champion": name_of(tracking().registry("small").standing())}
    about["evaluation"] = Ledger().latest(asset="small/evaluation") or "none"
    return {**about, "reason": "the report looks good", "by": "ada", **action}


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step said."""
    event = next(event for event in result.all_events if event.is_step_failure)
    return str(event.step_failure_data.error)


LOCATIONS = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "model_versions": ["source", "storage_location"],
}


def copy_home(made: Path, home: Path) -> None:
    """Copy a home that is used no more; MLflow keeps whole paths, and these follow."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(made, home)
    move_artifacts(home, made.as_uri())


def move_artifacts(home: Path, made_in: str) -> None:
    """Let MLflow look in a home for the artifacts that it logged to another one."""
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as database, database:
        for table, columns in LOCATIONS.items():
            for column in columns:
                database.execute(f"update {table} set {column} = replace({column}, ?, ?)", (made_in, home.as_uri()))


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose databases are there and empty: to make them takes seconds, to copy them none."""
    folder = tmp_path_factory.mktemp("empty") / "home"
    (folder / "dagster").mkdir(parents=True)
    (folder / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_HOME", str(folder))
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        with dg.DagsterInstance.get() as instance:
            instance.get_runs(limit=1)
            instance.get_asset_keys(limit=1)
        tracking().client().search_experiments()
    return folder


@pytest.fixture
def stocked_home(home: Path, empty_home: Path) -> Path:
    """The test's home, with its databases."""
    shutil.copytree(empty_home, home, dirs_exist_ok=True)
    return home


def write_rows(file: Path) -> None:
    """Write 300 rows of which `x` says something about `y`."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 300)
    frame = pd.DataFrame({"id": range(300), "x": (y + random.normal(size=300)).round(3), "y": y})
    frame.to_csv(file, index=False)


@pytest.fixture
def small(stocked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    for name, value in PINNED.items():  # runs in this process then have the environment of a reproduction
        monkeypatch.setenv(name, value)
    write_rows(tmp_path / "rows.csv")
    return Small(stocked_home, tmp_path / "rows.csv")


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home in which version 1 is champion and another candidate has been evaluated, to be copied."""
    from tests.support.dated import OTHER, PRODUCTION, Dated, frame

    folder = tmp_path_factory.mktemp("promoted")
    (folder / "home" / "dagster").mkdir(parents=True)
    (folder / "home" / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_HOME", str(folder / "home"))
        patch.setenv("DAGSTER_HOME", str(folder / "home" / "dagster"))
        for name, value in PINNED.items():
            patch.setenv(name, value)
        case = Dated(folder / "home", folder / "rows.csv")
        case.use(frame())
        assert case.attempt(PRODUCTION, upstream=True).success
        assert case.attempt("evaluation", upstream=True, **OTHER).success
    return folder


@pytest.fixture
def case(promoted: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The use case `dated.Dated` with a champion, in a home of the test's own."""
    from tests.support.dated import Dated, frame

    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    copy_home(promoted / "home", home)
    case = Dated(home, promoted / "rows.csv")  # the path is part of the declaration
    case.use(frame())
    return case
