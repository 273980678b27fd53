"""Ends the runs that stopped with the last `code` container: a run is a process in there, so none is alive.

Without this they would stay STARTED for ever: Dagster's default launcher cannot ask whether a run is alive.
"""

import dagster as dg

from dagster_project.location.reaper import end_runs

REASON = "its process ended with the container it was in: launch it again"


def main() -> None:
    """Ends them in Dagster and in MLflow."""

    def reason_of(record: dg.RunRecord) -> str | None:
        return None if record.dagster_run.status == dg.DagsterRunStatus.NOT_STARTED else REASON

    with dg.DagsterInstance.get() as instance:
        for line in end_runs(instance, reason_of):
            print(line, flush=True)


if __name__ == "__main__":
    main()
