"""Dagster's launcher for one machine, which can tell whether a run is still alive."""

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus


class LocalRunLauncher(dg.DefaultRunLauncher):
    """A launcher with which run monitoring ends a run whose process was killed, and gives back its places in pools.

    Only where the daemon runs beside the runs, on one machine and in one container: it looks for processes by number.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True; Dagster's own launcher does not, and such a run would stay STARTED for ever."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if the process that the run's events name is gone, however the run was started."""
        process = _process_of(self._instance, run.run_id)
        if process is None or _alive(*process):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {process[0]} is gone")


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
