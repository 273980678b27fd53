"""Jobs, schedule and sensor of a use case."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.framework.case import Case
from ml.declaration.part import duration


def automation(case: Case) -> dg.Definitions:
    """Define `<use case>_retrain`, `_score` and `_production`, and what starts the first by itself."""
    everything = dg.AssetSelection.key_prefixes([case.name])
    one_at_a_time = {"sextant/use_case": case.name}  # the instance runs one run of each value
    retrain = dg.define_asset_job(
        f"{case.name}_retrain",
        everything,
        description="From the source tables to a verified Bento; the gates decide whether the champion changes.",
        tags=one_at_a_time,
    )
    raw = dg.AssetSelection.assets(*(case.key(f"raw/{name}") for name in case.spec.tables))
    score = dg.define_asset_job(
        f"{case.name}_score",
        raw | dg.AssetSelection.assets(case.key("predictions")),
        description="Fresh source tables, scored by the champion; nothing is trained.",
        tags=one_at_a_time,
    )
    production = dg.define_asset_job(
        f"{case.name}_production",
        dg.AssetSelection.assets(*map(case.key, ("production_model", "online_state", "bento", "predictions"))),
        description="What is decided about the champion, an approval or a rollback, then its Bento and predictions.",
        tags=one_at_a_time,
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
    return dg.Definitions(jobs=[retrain, score, production], schedules=schedules, sensors=sensors)


def _new_data(case: Case, job: Any) -> dg.SensorDefinition:
    declared, names = case.spec.retrain, case.spec.retrain.on_new_data

    @dg.sensor(
        name=f"{case.name}_new_data",
        job=job,
        minimum_interval_seconds=int(duration(declared.check_every).total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retrains when {', '.join(names)} has new content, once per content.",
    )
    def new_data(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        from ml.base.hashing import hash_json
        from ml.tables.sources import content_hash

        tables = case.spec.tables
        hashes = {name: content_hash(case.name, name, tables[name], case.spec.times_of(name)) for name in names}
        content = hash_json(hashes)
        filters = dg.RunsFilter(job_name=str(job.name), statuses=[dg.DagsterRunStatus.SUCCESS])
        latest = next(iter(context.instance.get_runs(filters, limit=1)), None)
        if latest is not None and hashes == _learned(context.instance, case, latest, list(hashes)):
            yield dg.SkipReason("the latest retrain has seen this content")
            return
        # Dagster starts each key once: former content that comes back after another was learned is new again.
        after = latest.run_id if latest else "none"
        yield dg.RunRequest(run_key=f"{content} after {after}", tags={"sextant/content": content})

    return new_data


def _learned(instance: dg.DagsterInstance, case: Case, run: dg.DagsterRun, tables: list[str]) -> dict[str, str]:
    """Return the content hashes of some tables in a run, or in those whose failure it took up."""
    keys = {case.key(f"raw/{name}"): name for name in tables}
    hashes: dict[str, str] = {}
    for run_id in dict.fromkeys(filter(None, (run.root_run_id, run.parent_run_id, run.run_id))):
        made = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
        for event in (record.event_log_entry.asset_materialization for record in made):
            if event is not None and event.asset_key in keys:
                hashes[keys[event.asset_key]] = (event.tags or {}).get("dagster/data_version", "")
    return hashes
