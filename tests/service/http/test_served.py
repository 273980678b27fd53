from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.served import Served

EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


def test_before_the_model_is_loaded_the_process_is_alive_and_not_ready() -> None:
    client = TestClient(Application(Served()))

    assert client.get("/healthz").status_code == 200
    for method, path in [("GET", "/readyz"), ("POST", "/predict"), ("POST", "/events"), ("GET", "/schema")]:
        response = client.request(method, path)
        assert response.status_code == 503
        assert response.json() == {"error": "the model is being loaded"}


def test_a_model_that_answers_differently_than_it_did_is_not_ready(
    write_bundle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served()
    served.load(write_bundle(golden_score=0.5))

    response = TestClient(Application(served)).get("/readyz")

    assert response.status_code == 503
    assert "a golden score differs by 0.436; at most 0.0001 is allowed" in response.json()["error"]
    assert "flight_delays:3 is not ready" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("plan.json", "{}", "plan.json cannot be served; build the Bento again"),
        ("golden.json", '{"records": [{}], "scores": [0.5]}', "the model failed to load; see the log"),
        ("planes.parquet", "PAR1", "the model failed to load; see the log"),
    ],
)
def test_a_bundle_that_cannot_be_served_is_alive_not_ready_and_says_why(
    write_bundle: Any, record: dict[str, Any], caplog: pytest.LogCaptureFixture, name: str, content: str, reason: str
) -> None:
    folder = write_bundle()
    (folder / name).write_text(content)
    served = Served()

    served.start(folder)

    client = TestClient(Application(served))
    assert client.get("/healthz").status_code == 200
    assert reason in client.get("/readyz").json()["error"]
    assert client.post("/predict", json=record).status_code == 503
    assert "cannot be served" in caplog.text


def test_logged_events_count_after_a_restart_though_golden_scores_are_those_without_them(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    scores = []
    for _ in range(2):
        served = Served()
        served.load(write_bundle(), tmp_path / "log")
        client = TestClient(Application(served))
        assert client.get("/readyz").status_code == 200
        scores.append(client.post("/predict", json=record).json()["score"])
        client.post("/events", json={"table": "flights", "rows": [EVENT]})
        scores.append(client.post("/predict", json=record).json()["score"])

    assert scores[0] < scores[1] == scores[2] == scores[3]


def test_a_log_that_cannot_be_read_is_said(write_bundle: Any, tmp_path: Path) -> None:
    (tmp_path / "flight_delays.events.jsonl").write_text("nonsense\n")
    served = Served()

    served.start(write_bundle(), tmp_path)

    assert "flight_delays.events.jsonl, line 1" in str(served.not_ready)
