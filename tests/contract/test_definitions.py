"""The definitions that each shipped use case has in Dagster."""

from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from dagster_project.definitions import defs
from tests.support.snapshot import check_snapshot


def test_assets_checks_jobs_schedules_and_sensors_of_the_shipped_use_cases(home: object) -> None:
    repository = defs().get_repository_def()
    graph = repository.asset_graph
    use_cases = sorted({key.path[0] for key in graph.get_all_asset_keys()})

    check_snapshot("definitions", {name: definitions_of(name, repository) for name in use_cases})


def definitions_of(use_case: str, repository: dg.RepositoryDefinition) -> dict[str, object]:
    """Return the names of a use case's definitions; those of assets, without its own, each with its checks."""
    graph = repository.asset_graph
    keys = sorted(key for key in graph.get_all_asset_keys() if key.path[0] == use_case)
    jobs = sorted(name for name in repository.job_names if name.startswith(f"{use_case}_"))
    return {
        "assets": {"/".join(key.path[1:]): checks_of(key, graph) for key in keys},
        "jobs": jobs,
        "schedules": {
            schedule.name: f"{schedule.cron_schedule} starts {schedule.job_name}"
            for schedule in repository.schedule_defs
            if schedule.job_name in jobs
        },
        "sensors": {
            sensor.name: f"starts {sensor.job_name}" for sensor in repository.sensor_defs if sensor.job_name in jobs
        },
    }


def checks_of(key: dg.AssetKey, graph: BaseAssetGraph[Any]) -> list[str]:
    """Return the checks of an asset; of one that blocks what is downstream, this is said too."""
    checks = {check.name: graph.get_check_spec(check).blocking for check in graph.get_check_keys_for_assets({key})}
    return [f"{name} (blocks)" if blocks else name for name, blocks in sorted(checks.items())]
