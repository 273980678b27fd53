"""Jobs, schedule and sensor of a use case."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.step import Case
from ml.spec import duration


def automation(case: Case) -> dg.Definitions:
    """`<use case>_retrain` and `_score`, and what starts the first without being asked."""
    everything = dg.AssetSelection.key_prefixes([case.name])
    retrain = dg.define_asset_job(
        f"{case.name}_retrain",
        everything,
        description="From the source tables to a verified Bento; the gates decide whether the champion changes.",
    )
    raw = dg.AssetSelection.assets(*(case.key(f"raw/{name}") for name in case.spec.tables))
    score = dg.define_asset_job(
        f"{case.name}_score",
        raw | dg.AssetSelection.assets(case.key("predictions")),
        description="Fresh source tables, scored by the champion; nothing is trained.",
    )
    declared = case.spec.retrain
    schedules = []
    if declared.schedule is not None:
        schedules.append(
            dg.ScheduleDefinition(
                name=f"{case.name}_schedule",
                job=retrain,
                description="Retrains by the clock.",
                cron_schedule=declared.schedule,
                execution_timezone=declared.timezone,
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        )
    sensors = [_new_data(case, retrain)] if declared.on_new_data else []
    return dg.Definitions(jobs=[retrain, score], schedules=schedules, sensors=sensors)


def _new_data(case: Case, job: Any) -> dg.SensorDefinition:
    declared = case.spec.retrain

    @dg.sensor(
        name=f"{case.name}_new_data",
        job=job,
        minimum_interval_seconds=int(duration(declared.check_every).total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retrains when {', '.join(declared.on_new_data)} has new content, once per content.",
    )
    def new_data(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        from ml.hashing import hash_json, hash_table
        from ml.sources import load_table

        hashes = {
            name: hash_table(load_table(case.name, name, case.spec.tables[name])) for name in declared.on_new_data
        }
        content = hash_json(hashes)
        if all(_materialized(context.instance, case, name) == hashes[name] for name in hashes):
            yield dg.SkipReason("the content is that of the latest snapshots")
            return
        yield dg.RunRequest(run_key=content, tags={"sextant/content": content})

    return new_data


def _materialized(instance: dg.DagsterInstance, case: Case, table: str) -> str | None:
    event = instance.get_latest_materialization_event(case.key(f"raw/{table}"))
    made = event.asset_materialization if event else None
    return made.tags.get("dagster/data_version") if made and made.tags else None
