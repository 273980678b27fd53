"""Tracking: one MLflow run for each asset materialization, opened and closed in the step."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.home import home
from resources.locks import POSTGRESQL, exclusive
from resources.settings import settings
from resources.tracking.registry import CHAMPION, Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


_ENDED = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}  # a trial's states, as those of runs
_KIND = "custom_model_development"  # what MLflow's UI shows model training by, instead of language models


class TrackedRun:
    """An open MLflow run."""

    def __init__(self, client: "MlflowClient", run_id: str, experiment_id: str) -> None:
        self.client, self.id, self.experiment_id = client, run_id, experiment_id

    def metrics(self, values: Mapping[str, float]) -> None:
        """Logs metrics by name."""
        for name, value in values.items():
            self.client.log_metric(self.id, name, float(value))

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Logs one point of each of some curves, at once."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, [Metric(name, float(value), now, step) for name, value in values.items()])

    def params(self, values: Mapping[str, Any]) -> None:
        """Logs parameters by name."""
        for name, value in values.items():
            self.client.log_param(self.id, name, value)

    def child(
        self, name: str, params: Mapping[str, Any], metrics: Mapping[str, Sequence[float]], tags: Mapping[str, str]
    ) -> None:
        """Logs a finished run below this one: params, metrics with a value for each step, tags; `state` is its own."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        about = {**tags, "mlflow.parentRunId": self.id}
        run = self.client.create_run(self.experiment_id, run_name=name, tags=about).info.run_id
        values = [Metric(each, v, now, step) for each, steps in metrics.items() for step, v in enumerate(steps)]
        self.client.log_batch(run, values, [Param(each, str(value)) for each, value in params.items()])
        self.client.set_terminated(run, _ENDED[tags["state"]])

    def file(self, name: str, content: bytes) -> None:
        """Logs an artifact file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self.client.log_artifact(self.id, str(path))


class Tracking(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow: SQLite and files in $SEXTANT_HOME unless a tracking URI is configured."""

    uri: str = ""
    ui: str = "http://127.0.0.1:5000"
    dagster_ui: str = "http://127.0.0.1:3000"

    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and the registry."""
        return self.uri or f"sqlite:///{home()}/mlflow/mlflow.db"

    def client(self) -> "MlflowClient":
        """A client of a store that is ready: an embedded database is made once, under a lock."""
        from mlflow import MlflowClient

        if not self.uri:
            (home() / "mlflow").mkdir(parents=True, exist_ok=True)
            # Several processes that open an empty database at once race in its migration.
            with exclusive("mlflow", home() / "locks"):
                return MlflowClient(self.tracking_uri())
        return MlflowClient(self.tracking_uri())

    def experiment(self, client: "MlflowClient", name: str) -> str:
        """The id of an experiment, made if need be."""
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            location = None if self.uri else (home() / "mlflow" / "artifacts" / name).as_uri()
            try:
                return str(client.create_experiment(name, location, {"mlflow.experimentKind": _KIND}))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another step was faster
                if found is None:
                    raise
        return str(found.experiment_id)

    @contextmanager
    def run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[TrackedRun]:
        """An MLflow run that ends FINISHED, or FAILED if the block raises."""
        client = self.client()
        experiment_id = self.experiment(client, experiment)
        run_id = client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id
        try:
            yield TrackedRun(client, run_id, experiment_id)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")

    def version(self, name: str, alias: str) -> str | None:
        """The version of a model that carries an alias, or None.

        An embedded store is asked directly: to import MLflow takes two seconds, which a command has not.
        """
        if not self.uri:
            database = home() / "mlflow" / "mlflow.db"
            if not database.exists():
                return None
            query = "select version from registered_model_aliases where name = ? and alias = ?"
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
                row = connection.execute(query, (name, alias)).fetchone()
            return str(row[0]) if row else None
        found = self.registry(name).with_alias(alias)
        return str(found.version) if found else None

    def aliased(self) -> Iterator[str]:
        """The ids of the coordinates of every registered version that carries an alias."""
        client, token = self.client(), ""
        while True:
            page = client.search_registered_models(page_token=token or None)
            for name, version in {(model.name, each) for model in page for each in model.aliases.values()}:
                tags = client.get_model_version(name, version).tags
                yield from [tags["sextant.coordinates"]] if "sextant.coordinates" in tags else []
            if not (token := page.token or ""):
                return

    def champion(self, name: str) -> "ModelVersion | None":
        """The version that carries the alias `champion`, or None."""
        return self.registry(name).with_alias(CHAMPION)

    @contextmanager
    def promotion(self, name: str) -> Iterator[Registry]:
        """The registry of a model, for one step at a time, on every machine where its stores are in PostgreSQL."""
        stores = (self.uri, settings().studies_url)
        database = next((url for url in stores if url.startswith(POSTGRESQL)), "")
        with exclusive(f"promotion of {name}", home() / "locks", database):
            registry = self.registry(name)
            registry.recover()
            yield registry

    def registry(self, name: str) -> Registry:
        """The registry of a model, to be looked at."""
        return Registry(self.client(), name, self.tracking_uri())

    def onnx(self, name: str, version: str) -> bytes:
        """The ONNX file of a registered version."""
        return self.registry(name).file(version)

    def link(self, run: TrackedRun) -> str:
        """The page of a run in the MLflow UI."""
        return f"{self.ui}/#/experiments/{run.experiment_id}/runs/{run.id}"

    def dagster_links(self, run_id: str, asset: str) -> tuple[str, str]:
        """The pages of a run and of an asset in the Dagster UI."""
        return f"{self.dagster_ui}/runs/{run_id}", f"{self.dagster_ui}/assets/{asset}"


def tracking() -> Tracking:
    """Return MLflow as the environment sets it up."""
    found = settings()
    return Tracking(uri=found.tracking_uri, ui=found.mlflow_ui, dagster_ui=found.dagster_ui)
