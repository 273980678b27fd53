"""Studies have one driver at a time, and a place that the environment says."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest

from ml.search.study import Search
from resources.studies import Studies, studies
from tests.support import toy


def holding(name: str, channel: Connection) -> None:
    with studies().hold(name):
        channel.send("held")
        channel.recv()


@pytest.mark.slow
def test_a_driver_waits_for_another_and_goes_on_when_that_is_killed(home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    (first, its), (second, others) = context.Pipe(), context.Pipe()
    holder = context.Process(target=holding, args=("a", its))
    waiter = context.Process(target=holding, args=("a", others))
    holder.start()
    assert first.recv() == "held"
    waiter.start()

    with studies().hold("b"):  # another study is free
        assert not second.poll(1)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)

    assert second.recv() == "held"
    second.send("enough")
    waiter.join()
    holder.join()


def test_studies_are_in_the_home_unless_a_url_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert studies().storage_url() == f"sqlite:///{home}/studies/studies.db"

    monkeypatch.setenv("SEXTANT_STUDIES_URL", "postgresql+psycopg2:///studies")

    assert studies().storage_url() == "postgresql+psycopg2:///studies"


def test_a_url_that_sqlalchemy_would_read_otherwise_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"starts with postgresql://. Allowed: postgresql\+psycopg2://") as caught:
        Studies(url="postgresql://me:secret@host/studies").storage_url()
    assert "secret" not in str(caught.value)


def test_optuna_dashboard_shows_a_study_from_the_same_storage_while_it_runs_and_after(home: Path) -> None:
    import optuna_dashboard

    def shown() -> list[tuple[str, list[str]]]:
        transport = httpx.WSGITransport(app=optuna_dashboard.wsgi(studies().storage_url()))
        with httpx.Client(transport=transport, base_url="http://dashboard") as client:
            listed = client.get("/api/studies").json()["study_summaries"]
            found = [client.get(f"/api/studies/{each['study_id']}", params={"after": 0}).json() for each in listed]
        return [(each["name"], [trial["state"] for trial in each["trials"]]) for each in found]

    with studies().hold("toy") as storage:
        toy.study(Search(storage=storage, name="toy"), trials=2)
        storage.create_new_trial(storage.get_study_id_from_name("toy"))

        assert shown() == [("toy", ["Complete", "Fail", "Running"])]
    assert shown() == [("toy", ["Complete", "Fail", "Running"])]
