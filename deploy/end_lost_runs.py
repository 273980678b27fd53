"""Ends the runs that stopped with the last `code` container: a run is a process in there, so none is alive.

Without this they would stay STARTED for ever: Dagster's default launcher cannot ask whether a run is alive.
"""

import dagster as dg

from resources.tracking.runs import tracking

REASON = "its process ended with the container it was in: launch it again"


def main() -> None:
    """Ends them in Dagster and in MLflow."""
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
            if run.status == dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, REASON)
            else:
                instance.report_run_failed(run, REASON)
            _end_tracked(run.run_id)
            print(f"ended run {run.run_id} of {run.job_name}: {REASON}", flush=True)


def _end_tracked(run_id: str) -> None:
    client = tracking().client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    running = f"tags.`dagster.run_id` = '{run_id}' and attributes.status = 'RUNNING'"
    for run in client.search_runs(experiments, running):
        client.set_terminated(run.info.run_id, "FAILED")


if __name__ == "__main__":
    main()
