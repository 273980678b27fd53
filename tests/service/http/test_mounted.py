from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.http.mounted import Mounted
from service.predictions.reading import predictions
from tests.service.conftest import WriteBundle

PAGE = Path(__file__).parents[3] / "docs" / "export.md"


def test_a_bundle_answers_under_a_prefix_of_an_application_that_begins_its_lifespan(
    write_bundle: WriteBundle, record: dict[str, Any], tmp_path: Path
) -> None:
    mounted = Mounted(write_bundle(), tmp_path / "events")
    app = FastAPI(lifespan=mounted.lifespan)
    app.mount("/models/flights", mounted)

    @app.get("/own")
    def own() -> str:
        return "here"

    with TestClient(app) as client:
        assert client.get("/own").json() == "here"
        assert client.get("/models/flights/readyz").json() == {"ready": True}
        assert client.post("/models/flights/predict", json=record).json()["model"] == "flight_delays:3"
        event = {"id": "e1", "origin": "JFK", "departed_at": "2014-01-02T07:00:00"}
        taken = client.post("/models/flights/events", json={"table": "flights", "rows": [event]})
        assert taken.json() == {"accepted": 1, "replaced": 0}
        assert "there is no /nothing" in client.get("/models/flights/nothing").json()["error"]
        described = client.get("/models/flights/openapi.json").json()
        assert described["servers"] == [{"url": "/models/flights"}]
        assert "/predict" in described["paths"]
        assert 'route="/predict"' in client.get("/models/flights/metrics").text
        assert client.get("/openapi.json").json()["paths"].keys() == {"/own"}
    assert mounted.served.not_ready == "the service is shutting down"
    assert (tmp_path / "events" / "flight_delays.events.jsonl").read_text().count("\n") == 1


def test_what_was_answered_is_in_the_log_once_the_lifespan_is_over(
    write_bundle: WriteBundle, record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_PREDICTIONS", str(tmp_path / "predictions"))
    monkeypatch.setenv("SEXTANT_ACCESS_LOG", str(tmp_path / "access.jsonl"))
    mounted = Mounted(write_bundle())
    app = FastAPI(lifespan=mounted.lifespan)
    app.mount("/flights", mounted)

    with TestClient(app) as client:
        answered = client.post("/flights/predict", json=record).json()

    (row,) = predictions(str(tmp_path / "predictions"), "flight_delays").to_table().to_pylist()
    assert (row["id"], row["score"]) == (answered["id"], answered["score"])
    assert '"route":"/predict"' in (tmp_path / "access.jsonl").read_text()


def test_two_bundles_have_figures_of_their_own_and_a_lifespan_that_is_entered_in_another(
    write_bundle: WriteBundle, record: dict[str, Any]
) -> None:
    folder = write_bundle()
    first, second = Mounted(folder), Mounted(str(folder))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with first.lifespan(), second.lifespan():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/first", first)
    app.mount("/second", second)

    with TestClient(app) as client:
        client.post("/first/predict", json=record)

        assert 'route="/predict"' in client.get("/first/metrics").text
        assert 'route="/predict"' not in client.get("/second/metrics").text


def test_the_code_of_the_page_mounts_a_bundle(write_bundle: WriteBundle) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    scope: dict[str, Any] = {}

    exec(code.replace("/srv/bento/src/bundle", str(write_bundle())), scope)

    with TestClient(scope["app"]) as client:
        assert client.get("/models/breast_cancer/readyz").json() == {"ready": True}


def test_without_its_lifespan_it_says_what_to_do(write_bundle: WriteBundle, record: dict[str, Any]) -> None:
    app = FastAPI()
    app.mount("/flights", Mounted(write_bundle()))

    with TestClient(app) as client:
        answered = client.post("/flights/predict", json=record)

    assert answered.status_code == 503
    assert "begin its lifespan" in answered.json()["error"]


def test_a_folder_that_is_no_bundle_is_not_ready_and_says_why(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    app = FastAPI(lifespan=mounted.lifespan)
    app.mount("/flights", mounted)

    with TestClient(app) as client:
        answered = client.get("/flights/readyz")

    assert answered.status_code == 503
    assert "model.onnx is not there" in answered.json()["error"]


def test_without_a_prefix_the_document_names_no_server(client: TestClient) -> None:
    assert "servers" not in client.get("/openapi.json").json()
