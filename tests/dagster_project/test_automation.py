"""The sensor starts the retrain job for new content, with one run key for each content."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.step import Case
from assets.use_case import all_assets
from dagster_project.automation import automation
from dagster_project.definitions import resources
from ml.spec import UseCaseSpec


@pytest.fixture
def watched(tmp_path: Path, home: Path) -> Case:
    pd.DataFrame({"id": range(4), "x": 1.0, "y": [0, 1, 0, 1]}).to_csv(tmp_path / "rows.csv", index=False)
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": str(tmp_path / "rows.csv")}, "key": "id"}},
            "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"logistic": {}},
            "retrain": {"on_new_data": ["rows"]},
        }
    )
    return Case("watched", spec)


def requested(case: Case, instance: dg.DagsterInstance) -> list[str]:
    """The run keys of one tick."""
    definitions = dg.Definitions.merge(dg.Definitions(assets=all_assets(case), resources=resources()), automation(case))
    sensor = definitions.get_repository_def().get_sensor_def("watched_new_data")
    tick = sensor.evaluate_tick(dg.build_sensor_context(instance, repository_def=definitions.get_repository_def()))
    return [str(request.run_key) for request in tick.run_requests or []]


def test_the_same_content_has_one_run_key_and_new_content_another(watched: Case, tmp_path: Path) -> None:
    instance = dg.DagsterInstance.get()
    first, again = requested(watched, instance), requested(watched, instance)
    frame = pd.read_csv(tmp_path / "rows.csv")
    frame[["y", "x", "id"]].to_csv(tmp_path / "rows.csv", index=False)
    reordered = requested(watched, instance)
    frame.assign(x=2.0).to_csv(tmp_path / "rows.csv", index=False)

    changed = requested(watched, instance)

    assert len(first) == len(changed) == 1
    assert first == again == reordered != changed


def test_content_that_is_materialized_already_starts_nothing(watched: Case) -> None:
    instance = dg.DagsterInstance.get()
    raw = dg.AssetSelection.assets(watched.key("raw/rows"))

    assert dg.materialize(all_assets(watched), selection=raw, resources=resources(), instance=instance).success

    assert requested(watched, instance) == []
