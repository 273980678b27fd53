"""The sensor starts the retrain job for new content, with one run key until it is learned."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import yaml

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.definitions import resources
from dagster_project.location.automation import automation
from dagster_project.location.instance import _SETTINGS
from ml.declaration.use_case import UseCaseSpec

pytestmark = pytest.mark.slow


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


def defined(case: Case) -> dg.Definitions:
    assets = dg.Definitions(assets=all_assets(case), resources=resources())
    return dg.Definitions.merge(assets, automation(case))


def requested(case: Case, instance: dg.DagsterInstance) -> list[str]:
    """The run keys of one tick."""
    definitions = defined(case)
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


def test_only_content_that_the_retrain_job_has_seen_starts_nothing(watched: Case) -> None:
    instance, raw = dg.DagsterInstance.get(), watched.key("raw/rows")
    definitions = defined(watched)

    # The score job takes snapshots too, and learns nothing from them.
    scored = definitions.resolve_job_def("watched_score")
    assert scored.execute_in_process(instance=instance, asset_selection=[raw]).success
    after_score = requested(watched, instance)
    trained = definitions.resolve_job_def("watched_retrain")
    assert trained.execute_in_process(instance=instance, asset_selection=[raw]).success
    after_retrain = requested(watched, instance)

    assert len(after_score) == 1
    assert after_retrain == []


def learn(case: Case, instance: dg.DagsterInstance, **tags: str) -> dg.ExecuteInProcessResult:
    """A run of the retrain job, of which the snapshot alone is made."""
    trained = defined(case).resolve_job_def("watched_retrain")
    return trained.execute_in_process(instance=instance, asset_selection=[case.key("raw/rows")], tags=tags)


def test_content_that_comes_back_after_other_content_was_learned_is_new_again(watched: Case, tmp_path: Path) -> None:
    instance, rows, keys = dg.DagsterInstance.get(), tmp_path / "rows.csv", list[str]()
    former = pd.read_csv(rows)
    for content in (former, former.assign(x=2.0), former, former.assign(x=2.0)):
        content.to_csv(rows, index=False)
        keys += requested(watched, instance)
        assert requested(watched, instance) == keys[-1:]  # until it is learned, Dagster drops it
        learn(watched, instance)
        assert requested(watched, instance) == []

    assert len(set(keys)) == 4


def test_a_run_that_takes_up_a_failed_one_has_seen_what_that_one_had_seen(watched: Case) -> None:
    instance = dg.DagsterInstance.get()
    first = learn(watched, instance)
    job = defined(watched).resolve_job_def("watched_retrain")
    again = instance.create_run_for_job(
        job, parent_run_id=first.run_id, root_run_id=first.run_id, status=dg.DagsterRunStatus.SUCCESS
    )

    assert again.run_id != first.run_id
    assert requested(watched, instance) == []


def test_many_scored_snapshots_do_not_hide_what_was_learned(watched: Case) -> None:
    instance = dg.DagsterInstance.get()
    learn(watched, instance)
    for number in range(60):
        event = dg.AssetMaterialization(watched.key("raw/rows"), tags={"dagster/data_version": f"{number}"})
        instance.report_runless_asset_event(event)

    assert requested(watched, instance) == []


def test_the_instance_runs_one_job_of_a_use_case_at_a_time(watched: Case) -> None:
    limits = yaml.safe_load(_SETTINGS)["concurrency"]["runs"]["tag_concurrency_limits"]

    tags = [dict(defined(watched).resolve_job_def(f"watched_{job}").run_tags) for job in ("retrain", "score")]

    assert tags == [{"sextant/use_case": "watched"}] * 2
    assert {"key": "sextant/use_case", "value": {"applyLimitPerUniqueValue": True}, "limit": 1} in limits
