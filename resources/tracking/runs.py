"""MLflow as the tracker: one run for each asset materialization, opened and closed in the step."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml.base.files import scratch_folder
from ml.base.processes import Process, this_process
from resources.databases import first_value, require_free
from resources.home import home
from resources.ledger import Ledger
from resources.locks import POSTGRESQL, exclusive
from resources.settings import settings
from resources.tracking.fluent import PROCESS, TrialRuns, attach
from resources.tracking.history import Standing
from resources.tracking.protocol import RegisteredVersion, RegistryError
from resources.tracking.registry import Registry
from resources.tracking.versions import MlflowVersions

if TYPE_CHECKING:
    from mlflow import MlflowClient


_ENDED = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}  # a trial's states, as those of runs
_log = logging.getLogger(__name__)
_BATCH = 100  # params, the most that MLflow takes in one request; so many tags and ten times as many metrics
_KIND = "custom_model_development"  # what MLflow's UI shows model training by, instead of language models
_COORDINATES = "sextant.coordinates"  # the tag of a version that says where it came from
_MOST = 10_000  # runs that are open at once
_DESCRIPTION = "mlflow.note.content"  # the tag that MLflow's UI shows on the run's page


class MlflowRun:
    """An open MLflow run: `TrackedRun`."""

    def __init__(
        self, client: "MlflowClient", run_id: str, experiment_id: str, ui: str, trials: TrialRuns | None = None
    ) -> None:
        self.client, self.id, self.experiment_id, self.ui = client, run_id, experiment_id, ui
        self._trials = trials

    def link(self, file: str = "") -> str:
        """Return the page of the run in the MLflow UI, or of a file that it has logged."""
        page = f"{self.ui}/#/experiments/{self.experiment_id}/runs/{self.id}"
        return f"{page}/artifacts/{file}" if file else page

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        from mlflow.entities import RunTag

        self._log(self.id, tags=[RunTag(name, text) for name, text in tags.items()])

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics by name."""
        self.curve(0, values)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Log one point of each of some curves, at once."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._log(self.id, metrics=[Metric(name, float(value), now, step) for name, value in values.items()])

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters by name; where other code has logged one, its value stays, for MLflow changes none."""
        from mlflow.entities import Param

        self._log(self.id, params=[Param(name, str(value)) for name, value in self._unlogged(self.id, values).items()])

    def child(
        self, name: str, params: Mapping[str, Any], metrics: Mapping[str, Sequence[float]], tags: Mapping[str, str]
    ) -> None:
        """Log a finished run below this one: params, metrics with a value for each step, tags; `state` is its own."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        run = self._child(name)
        points = [Metric(metric, v, now, step) for metric, steps in metrics.items() for step, v in enumerate(steps)]
        parameters = [Param(param, str(value)) for param, value in self._unlogged(run, params).items()]
        self._log(run, points, parameters, [RunTag(tag, text) for tag, text in tags.items()])
        self.client.set_terminated(run, _ENDED[tags["state"]])

    def trials(self, target: str = "") -> Callable[[int], AbstractContextManager[None]] | None:
        """Return what puts the fluent API on the child `trial <number>`, in any process; None if this is not fluent.

        Of several targets the child is called `trial <number> of <target>`.
        """
        return replace(self._trials, target=target) if self._trials else None

    def file(self, name: str, content: bytes) -> None:
        """Log an artifact file."""
        with scratch_folder() as folder:
            path = folder / name
            path.write_bytes(content)
            self.client.log_artifact(self.id, str(path))

    def _log(self, run: str, metrics: Sequence[Any] = (), params: Sequence[Any] = (), tags: Sequence[Any] = ()) -> None:
        """Log to a run, as much in one request as MLflow takes."""
        for start in range(0, max(len(metrics), len(params), len(tags)), _BATCH):
            part = slice(start, start + _BATCH)
            self.client.log_batch(run, metrics[part], params[part], tags[part])

    def _child(self, name: str) -> str:
        """Return the id of a run below this one: where it is fluent, code may have logged to that already."""
        if self._trials:
            return self._trials.find_or_create(name)
        parent = {"mlflow.parentRunId": self.id, PROCESS: str(this_process())}
        return str(self.client.create_run(self.experiment_id, run_name=name, tags=parent).info.run_id)

    def _unlogged(self, run_id: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters that other code has not logged to a run."""
        logged = self.client.get_run(run_id).data.params if self._trials else {}
        return {name: value for name, value in values.items() if name not in logged}


class Tracking(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow as the `Tracker`: SQLite and files in $SEXTANT_HOME unless a tracking URI is configured."""

    uri: str = ""
    ui: str = "http://127.0.0.1:5000"
    dagster_ui: str = "http://127.0.0.1:3000"

    def tracking_uri(self) -> str:
        """Return the URI of the store of runs and of the registry."""
        return self.uri or f"sqlite:///{_database()}"

    def client(self) -> "MlflowClient":
        """Return a client of a store that is ready: an embedded database is made once, under a lock."""
        from mlflow import MlflowClient

        if not self.uri:
            _database().parent.mkdir(parents=True, exist_ok=True)
            require_free(_database())  # MLflow would try again for minutes
            # Several processes that open an empty database at once race in its migration.
            with exclusive("mlflow", home() / "locks"):
                return MlflowClient(self.tracking_uri())
        return MlflowClient(self.tracking_uri())

    def experiment(self, client: "MlflowClient", name: str) -> str:
        """Return the id of an experiment, which is made if need be, or restored if somebody deleted it."""
        from mlflow.exceptions import MlflowException

        experiment = client.get_experiment_by_name(name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self._restore(client, experiment.experiment_id, name)
        if experiment is None:
            location = None if self.uri else (home() / "mlflow" / "artifacts" / name).as_uri()
            try:
                return str(client.create_experiment(name, location, {"mlflow.experimentKind": _KIND}))
            except MlflowException:
                experiment = client.get_experiment_by_name(name)  # another step was faster
                if experiment is None:
                    raise
        return str(experiment.experiment_id)

    @staticmethod
    def _restore(client: "MlflowClient", experiment: str, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.restore_experiment(experiment)
        except MlflowException:
            if client.get_experiment(experiment).lifecycle_stage == "deleted":  # else another step was faster
                raise
        _log.warning("the experiment %s was deleted in MLflow, and is restored with its runs", name)

    @contextmanager
    def run(
        self, experiment: str, name: str, tags: Mapping[str, str], description: str = "", *, fluent: bool = False
    ) -> Iterator[MlflowRun]:
        """Open an MLflow run for the block; it ends FINISHED, or FAILED if the block raises.

        If it is `fluent`, MLflow's fluent API is on this run in the block, and off it before the run ends.
        """
        client = self.client()
        experiment_id = self.experiment(client, experiment)
        about = {**tags, PROCESS: str(this_process()), **({_DESCRIPTION: description} if description else {})}
        run_id = client.create_run(experiment_id, run_name=name, tags=about).info.run_id
        uri, dagster_run = self.tracking_uri(), tags.get("dagster.run_id", "")
        trials = TrialRuns(uri, experiment_id, run_id, dagster_run) if fluent else None
        try:
            with attach(uri, run_id, dagster_run) if fluent else nullcontext():
                yield MlflowRun(client, run_id, experiment_id, self.ui, trials)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            if trials:
                trials.kill_open()
            raise
        client.set_terminated(run_id, "FINISHED")

    def end_lost(self, ended: Callable[[str], bool]) -> list[str]:
        """Let every open run whose process is gone have failed, and return their ids.

        A run that names no process belongs to the run that it is below, or else to a Dagster run, which may have
        `ended`. One of another host stays as it is.
        """
        if not self.uri and _embedded("select 1 from runs where status = ?", "RUNNING") is None:
            return []
        client = self.client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]

        def lost(tags: Mapping[str, str]) -> bool:
            if (process := Process.named(tags.get(PROCESS, ""))) is not None:
                return process.gone
            if "mlflow.parentRunId" in tags:
                return lost(client.get_run(tags["mlflow.parentRunId"]).data.tags)
            return "dagster.run_id" in tags and ended(tags["dagster.run_id"])

        open_runs = client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=_MOST)
        ids = [str(run.info.run_id) for run in open_runs if lost(run.data.tags)]
        for run_id in ids:
            client.set_terminated(run_id, "FAILED")
        return ids

    def version(self, name: str, alias: str) -> str | None:
        """Return the number of the version of a model that carries an alias; None if none does."""
        if not self.uri:
            return _embedded("select version from registered_model_aliases where name = ? and alias = ?", name, alias)
        registered = self.registry(name).with_alias(alias)
        return registered.version if registered else None

    def coordinates(self, name: str, version: str) -> str | None:
        """Return the id of the coordinates of a registered version; None where there is no such version."""
        if not self.uri:
            query = "select value from model_version_tags where name = ? and cast(version as text) = ? and key = ?"
            return _embedded(query, name, version, _COORDINATES)
        try:
            return self.registry(name).version(version).tags.get(_COORDINATES)
        except RegistryError:
            return None

    def aliased(self) -> Iterator[str]:
        """Yield the ids of the coordinates of every registered version that carries an alias."""
        client, token = self.client(), ""
        while True:
            page = client.search_registered_models(page_token=token or None)
            for name, version in {(model.name, number) for model in page for number in model.aliases.values()}:
                tags = client.get_model_version(name, version).tags
                yield from [tags[_COORDINATES]] if _COORDINATES in tags else []
            if not (token := page.token or ""):
                return

    def champion(self, name: str) -> RegisteredVersion | None:
        """Return the champion, None if there is none; raise RegistryError, with the way out, if it is lost."""
        return self.registry(name).champion()

    @contextmanager
    def promotion(self, name: str) -> Iterator[Registry]:
        """Yield the registry of a model to one step at a time, on every machine where its stores are in PostgreSQL."""
        stores = (self.uri, settings().studies_url)
        database = next((url for url in stores if url.startswith(POSTGRESQL)), "")
        with exclusive(f"promotion of {name}", home() / "locks", database):
            registry = self.registry(name)
            registry.recover()
            yield registry

    def registry(self, name: str) -> Registry:
        """Return the registry of a model, to be looked at."""
        promoted = Ledger().promoted(name)
        return Registry(
            MlflowVersions(self.client(), name, self.tracking_uri()), Standing(*promoted) if promoted else None
        )

    def onnx(self, name: str, version: str) -> bytes:
        """Return the ONNX file of a version; raise RegistryError, with the way out, unless it is as registered."""
        return self.registry(name).model(version)

    def version_link(self, name: str, version: str) -> str:
        """Return the page of a registered version in the MLflow UI."""
        return f"{self.ui}/#/models/{name}/versions/{version}"

    def dagster_links(self, run_id: str, asset: str) -> tuple[str, str]:
        """Return the pages of a run and of an asset in the Dagster UI."""
        return f"{self.dagster_ui}/runs/{run_id}", f"{self.dagster_ui}/assets/{asset}"


def _database() -> Path:
    return home() / "mlflow" / "mlflow.db"


def _embedded(query: str, *values: str) -> str | None:
    """Return what the embedded store answers; it is asked directly: to import MLflow takes seconds."""
    return first_value(_database(), query, *values)


def tracking() -> Tracking:
    """Return MLflow as the environment sets it up."""
    environment = settings()
    return Tracking(uri=environment.tracking_uri, ui=environment.mlflow_ui, dagster_ui=environment.dagster_ui)
