"""Dagster's launcher for one machine, which can tell whether a run is still alive."""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus

from dagster_project.location.reaper import PROCESS, lost, reap
from ml.base.processes import this_process


class LocalRunLauncher(dg.DefaultRunLauncher):
    """A launcher with which run monitoring ends a run whose process was killed, and gives back its places in pools.

    Only where the daemon runs beside the runs, on one machine and in one container: it looks for processes by number.
    What was killed before is ended as soon as the daemon, or whoever launches a run, has the launcher.
    """

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Belong to an instance, and end what killed processes have left in it."""
        super().register_instance(instance)
        reap(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, which then names this process until its own is known."""
        self._instance.add_run_tags(context.dagster_run.run_id, {PROCESS: str(this_process())})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True; Dagster's own launcher does not, and such a run would stay STARTED for ever."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if the process that the run's events name is gone, however the run was started."""
        record = self._instance.get_run_record_by_id(run.run_id)
        if record is None or (reason := lost(self._instance, record)) is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        reap(self._instance)  # what it had open, beside itself
        return CheckRunHealthResult(WorkerStatus.FAILED, reason)
