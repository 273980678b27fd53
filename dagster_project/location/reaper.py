"""The reaper: ends and removes what processes of this host have left that were killed, wherever that was."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.storage.runs.sqlite import SqliteRunStorage

from ml.base.files import remove_unfinished
from ml.base.processes import Process, end_orphans
from resources.home import home
from resources.locks import exclusive
from resources.tracking.runs import tracking

PROCESS = "sextant/process"  # the tag of a run that says which process launched it, or runs it
UNKNOWN_FOR = timedelta(minutes=2)  # a run that no process has answered for so long was launched by none
Status = dg.DagsterRunStatus
BEGUN = [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]
_FAILED = {Status.FAILURE, Status.CANCELED}


def reap(instance: dg.DagsterInstance) -> list[str]:
    """End processes, runs of Dagster and of MLflow, and remove files, whose process is gone; return a line for each.

    What belongs to a process that is there, or to another host, stays as it is.
    """
    with exclusive("reaper", home() / "locks"):
        orphans = end_orphans(SEXTANT_HOME=str(home()))
        lines = [f"ended process {pid}, which a killed one had started" for pid in orphans]
        lines += end_runs(instance, lambda record: lost(instance, record))
        removed = remove_unfinished(home()) + remove_unfinished(Path(tempfile.gettempdir()), deep=False)
        lines += [f"removed {path}, which a killed process was writing" for path in removed]
    return lines


def end_runs(instance: dg.DagsterInstance, reason_of: Callable[[dg.RunRecord], str | None]) -> Iterator[str]:
    """End the Dagster runs that there is a reason to, give back their places in pools, and end MLflow's after them."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=BEGUN)):
        if (reason := reason_of(record)) is not None:
            run = record.dagster_run
            if run.status == Status.CANCELING:
                instance.report_run_canceled(run, reason)
            else:
                instance.report_run_failed(run, reason)
            if instance.event_log_storage.supports_global_concurrency_limits:
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            yield f"ended run {run.run_id} of {run.job_name}: {reason}"

    def ended(run_id: str) -> bool:
        run = instance.get_run_by_id(run_id)
        return run is not None and run.status in _FAILED

    yield from (f"ended the MLflow run {run_id}, whose process is gone" for run_id in tracking().end_lost(ended))


def lost(instance: dg.DagsterInstance, record: dg.RunRecord) -> str | None:
    """Return why a run cannot go on: its process is gone; None where that is there, or cannot be told."""
    run, launcher = record.dagster_run, Process.named(record.dagster_run.tags.get(PROCESS, ""))
    if launcher is not None and not launcher.here:
        return None
    if launcher is None and not isinstance(instance.run_storage, SqliteRunStorage):  # other hosts may share it
        return None
    if (process := _process_of(instance, run.run_id)) is not None:
        return None if _alive(*process) else f"its process {process[0]} is gone"
    if launcher is not None:
        return f"the process {launcher.pid}, which launched it, is gone" if launcher.gone else None
    silent = datetime.now(UTC) - record.update_timestamp
    return f"no process has begun with it in {UNKNOWN_FOR}" if silent > UNKNOWN_FOR else None


def _process_of(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Return the number of the run's own process and a time at which it ran; None if it has not said so yet."""
    for entry in reversed(instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
        event = entry.dagster_event
        if event is not None and event.step_key is None and "pid" in event.engine_event_data.metadata:
            return int(str(event.engine_event_data.metadata["pid"].value)), entry.timestamp
    return None


def _alive(pid: int, since: float) -> bool:
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= since and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
