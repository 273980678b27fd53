"""The deployment's Dagster instance and MLflow store, on a PostgreSQL that the test starts."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import psycopg2
import pytest

from ml.search.study import Search, Trial
from resources.studies import Studies
from resources.tracking.runs import Tracking
from tests.support import toy
from tests.support.postgres import PROGRAMS, cluster

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch, need: Callable[[object, str], None]) -> Iterator[Path]:
    """A cluster that listens on a socket in its own folder, and the databases of the deployment; nothing of root's."""
    need(PROGRAMS, "postgresql")
    with cluster() as server:
        monkeypatch.setenv("PGHOST", str(server.folder))
        monkeypatch.setenv("PGUSER", "sextant")
        connection = psycopg2.connect(dbname="postgres")
        connection.autocommit = True
        made = (DEPLOY / "postgres.sql").read_text().split(";")  # each by itself, or they would be one transaction
        for statement in ("CREATE DATABASE dagster", *filter(str.strip, made)):
            connection.cursor().execute(statement)
        connection.close()
        yield server.folder


@dg.asset
def number() -> int:
    return 1


@pytest.mark.slow
def test_dagster_keeps_runs_events_and_schedules_in_postgresql(
    postgres: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (DEPLOY / "dagster.yaml").read_text().replace("/var/lib/sextant", str(tmp_path / "state"))
    (tmp_path / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    with dg.DagsterInstance.get() as instance:
        dg.materialize([number], instance=instance, resources={"io_manager": dg.mem_io_manager})
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
        assert instance.get_latest_materialization_event(number.key) is not None
        storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        assert all(type(each).__name__.startswith("Postgres") for each in storages)


@pytest.mark.slow
def test_mlflow_keeps_runs_in_postgresql(postgres: Path, home: Path) -> None:
    tracking = Tracking(uri="postgresql+psycopg2:///mlflow")

    with tracking.run("case", "step", {"stage": "data"}) as run:
        run.metrics({"rows": 3})

    assert tracking.client().get_run(run.id).data.metrics == {"rows": 3.0}


@pytest.mark.slow
def test_studies_are_in_postgresql_with_one_driver_each_and_go_on_there(postgres: Path, home: Path) -> None:
    held, name = Studies(url="postgresql+psycopg2:///studies"), "case/toy/1"
    locks = "select count(*) from pg_locks where locktype = 'advisory' and granted"

    def run(trials: int) -> list[Trial]:
        with held.hold(name) as storage, closing(psycopg2.connect(dbname="studies")) as other:
            cursor = other.cursor()
            cursor.execute(locks)
            assert cursor.fetchone() == (1,)
            return toy.study(Search(batch=4, storage=storage, name=name), trials=trials)

    run(7)

    assert run(toy.TRIALS) == toy.study(Search(batch=4))


@pytest.mark.slow
@pytest.mark.parametrize("store", ["mlflow", "studies"])
def test_promotions_wait_for_each_other_in_postgresql(
    postgres: Path, home: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql+psycopg2:///{store}"
    if store == "studies":
        monkeypatch.setenv("SEXTANT_STUDIES_URL", url)  # as where MLflow is a server
    tracking = Tracking(uri=url if store == "mlflow" else "")
    locks = "select count(*) from pg_locks where locktype = 'advisory' and granted"

    with tracking.promotion("case") as registry, closing(psycopg2.connect(dbname=store)) as other:
        cursor = other.cursor()
        cursor.execute(locks)
        held = cursor.fetchone()

    assert held == (1,)
    assert registry.entries() == []
    with closing(psycopg2.connect(dbname=store)) as other:
        cursor = other.cursor()
        cursor.execute(locks)
        assert cursor.fetchone() == (0,)
