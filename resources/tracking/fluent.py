"""MLflow's fluent API (`mlflow.log_metric`, autologging) for code of a user's own, inside the run of its asset.

dagster-mlflow puts the API on the run that the step has opened; it is imported where this is asked for, and nowhere
else. Its own resource and hook are not used: they know one run for a whole Dagster run. Whoever opens a run ends it,
once: here nothing is ended but what the user's code has opened below it and left open.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml.base.processes import this_process
from ml.tasks.targets import of_target

if TYPE_CHECKING:
    from dagster_mlflow.resources import MlFlow
    from mlflow import MlflowClient

_VARIABLES = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")  # that the fluent API sets
_PARENT = "mlflow.parentRunId"
PROCESS = "sextant.process"  # the tag of a run that says who has it open


class FluentError(RuntimeError):
    """The fluent API cannot be attached to a run."""


@contextmanager
def attach(uri: str, run_id: str, dagster_run: str) -> Iterator["MlFlow"]:
    """Yield dagster-mlflow's object, with the fluent API of this thread on an open run of the store at `uri`.

    Afterwards the run is as open as before, and the process is as it was: no active run, experiment or autologging, no
    variables in the environment. Raises FluentError if another run is active in this thread.
    """
    import mlflow

    if active := mlflow.active_run():  # MlFlow would stay on that one and say nothing
        raise FluentError(f"the MLflow run {active.info.run_id} is active; end it before {run_id} can be attached")
    with _restoring(uri), _detaching(run_id):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            from dagster_mlflow.resources import MlFlow

            attached = MlFlow(_context(run_id, dagster_run))  # type: ignore[no-untyped-call]
        active = mlflow.active_run()
        if active is None or active.info.run_id != run_id:
            raise FluentError(f"the fluent API could not be put on the MLflow run {run_id}")
        yield attached


@dataclass(frozen=True)
class TrialRuns:
    """Runs of trials below an asset's run, on which the code of a trial logs; in any process, so this can be pickled.

    In one run for all of them the second value of a parameter would be an error.
    """

    uri: str
    experiment_id: str
    asset_run: str
    dagster_run: str
    target: str = ""  # of several, the one that the trials are about

    @contextmanager
    def __call__(self, number: int) -> Iterator[None]:
        """Put the fluent API on the run of a trial, which whoever logs its outcome ends."""
        import mlflow

        run_id = self.find_or_create(of_target(f"trial {number}", self.target))
        with _restoring(self.uri), _detaching(run_id):
            mlflow.set_experiment(experiment_id=self.experiment_id)
            mlflow.start_run(run_id=run_id, nested=True)
            yield

    def find_or_create(self, name: str) -> str:
        """Return the id of the run of this name; a trial that is evaluated again has one already."""
        for run in self._below(f"attributes.run_name = '{name}'"):
            return str(run.info.run_id)
        tags = {_PARENT: self.asset_run, "dagster.run_id": self.dagster_run, PROCESS: str(this_process())}
        return str(self._client().create_run(self.experiment_id, run_name=name, tags=tags).info.run_id)

    def kill_open(self) -> None:
        """End the runs that an interrupted search has left open."""
        for run in self._below("attributes.status = 'RUNNING'"):
            self._client().set_terminated(run.info.run_id, "KILLED")

    def _below(self, condition: str) -> list[Any]:
        query = f"tags.`{_PARENT}` = '{self.asset_run}' and {condition}"
        return list(self._client().search_runs([self.experiment_id], query))

    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(self.uri)


def _context(run_id: str, dagster_run: str) -> SimpleNamespace:
    """Return the part of Dagster's InitResourceContext that MlFlow reads.

    It makes the experiment the active one, and gives the run the name of the job: so these are those that the run has.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    info = client.get_run(run_id).info
    return SimpleNamespace(
        log=logging.getLogger("dagster_mlflow"),  # not the step's: it speaks of "starting a new mlflow run"
        run_id=dagster_run,
        dagster_run=SimpleNamespace(job_name=info.run_name),
        resource_config={
            "experiment_name": client.get_experiment(info.experiment_id).name,
            "mlflow_run_id": run_id,
        },
    )


@contextmanager
def _detaching(run_id: str) -> Iterator[None]:
    """Take a run off the stack of active runs after the block, and end what lies above it; the run itself stays open.

    To set its status first and leave it on the stack would not do: whatever ended the stack later would turn FAILED
    into FINISHED.
    """
    import mlflow

    below, status = _active_id(), "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        # Of the ways off the stack only `end_run` waits for what is logged asynchronously; told the status that the run
        # has, it does not end it.
        while (active := _active_id()) not in (None, below):
            mlflow.end_run("RUNNING" if active == run_id else status)


def _active_id() -> str | None:
    import mlflow

    active = mlflow.active_run()
    return str(active.info.run_id) if active else None


@contextmanager
def _restoring(uri: str) -> Iterator[None]:
    """Use a store in the block; give the environment and MLflow's globals back as they were before it.

    A tracking URI that stays in the environment would be taken for the setting of the deployment.
    """
    from mlflow.tracking import fluent
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS

    environment = {name: os.environ.get(name) for name in _VARIABLES}
    experiment, autologged = fluent._active_experiment_id, _autologged()
    try:
        with _use_tracking_uri(uri):
            yield
    finally:
        fluent._active_experiment_id = experiment
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        for library in _autologged() - autologged:
            AUTOLOGGING_INTEGRATIONS[library]["disable"] = True


def _autologged() -> set[str]:
    """Return the libraries for which autologging is on."""
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS

    return {name for name, config in AUTOLOGGING_INTEGRATIONS.items() if config and not config.get("disable", False)}
