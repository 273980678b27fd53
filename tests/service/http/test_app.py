from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import MAX_SHOWN_PROBLEMS, ROUTES, Application, Served
from service.http.bodies import MAX_BODY_BYTES
from service.predict.predictor import Predictor

GOLDEN_SCORE = 0.9355352  # of the record, by hand: sigmoid(2.675)


def test_one_record_gets_one_score(client: TestClient, record: dict[str, Any]) -> None:
    response = client.post("/predict", json=record)

    assert response.status_code == 200
    assert response.json() == {
        "score": pytest.approx(GOLDEN_SCORE, abs=1e-6),
        "model": "flight_delays:3",
        "coordinates": "c0ffee",
        "warnings": [],
    }


@pytest.mark.parametrize("count", [1, 2, 500])
def test_a_batch_gets_as_many_scores(client: TestClient, record: dict[str, Any], count: int) -> None:
    records = [record] * (count - 1) + [{**record, "tailnum": "N9"}]

    content = client.post("/predict", json={"records": records}).json()

    assert len(content["scores"]) == count
    assert content["scores"][:-1] == [pytest.approx(GOLDEN_SCORE, abs=1e-6)] * (count - 1)
    assert content["warnings"] == [[]] * (count - 1) + [["planes: no row for tailnum 'N9'"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predict", 415),
        ("GET", "/predict", 405),
        ("POST", "/events", 415),
        ("GET", "/coordinates", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/schema", 200),
        ("GET", "/", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/schema", 405),
    ],
)
def test_every_response_is_json_and_carries_the_coordinates(
    client: TestClient, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-sextant-coordinates"] == "c0ffee"
    assert response.headers["x-sextant-model"] == "flight_delays:3"
    assert response.json()


def test_the_routes_are_those_that_the_index_lists(client: TestClient) -> None:
    content = client.get("/").json()

    assert set(content["routes"]) == set(ROUTES)
    assert sorted(ROUTES) == [
        "GET /",
        "GET /coordinates",
        "GET /healthz",
        "GET /readyz",
        "GET /schema",
        "POST /events",
        "POST /predict",
    ]
    for route in ROUTES:
        method, path = route.split()
        assert client.request(method, path).status_code not in (404, 405)


def test_the_example_of_the_index_can_be_sent(client: TestClient) -> None:
    assert client.post("/predict", json=client.get("/").json()["example"]).status_code == 200


def test_coordinates_are_the_bundles_and_name_the_providers(client: TestClient) -> None:
    content = client.get("/coordinates").json()

    assert content["id"] == "c0ffee"
    assert content["data"] == {"flights": "sha256:1"}
    assert content["providers"][-1] == "CPUExecutionProvider"


def test_the_schema_shows_the_golden_record(client: TestClient, record: dict[str, Any]) -> None:
    assert client.get("/schema").json()["examples"] == [record]


def test_problems_name_record_field_given_and_allowed(client: TestClient, record: dict[str, Any]) -> None:
    records = [record, {**record, "distance": "far", "wings": 2}]

    response = client.post("/predict", json={"records": records})

    assert response.status_code == 422
    assert response.json() == {
        "error": "2 problems in 1 record; no record was scored",
        "problems": [
            {
                "error": "unknown columns",
                "record": 1,
                "field": None,
                "given": ["wings"],
                "allowed": ["carrier", "charter", "distance", "origin", "scheduled_departure", "tailnum"],
            },
            {
                "error": "not a number",
                "record": 1,
                "field": "distance",
                "given": "far",
                "allowed": "a finite number or null",
            },
        ],
    }


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_named(client: TestClient, record: dict[str, Any], literal: str) -> None:
    body = json.dumps(record).replace("500", literal)

    response = client.post("/predict", content=body, headers={"content-type": "application/json"})

    assert response.status_code == 422
    assert response.json()["problems"][0]["field"] == "distance"


def test_many_problems_are_cut_short_and_counted(client: TestClient) -> None:
    content = client.post("/predict", json={"records": [{}] * 150}).json()

    assert content["error"] == "150 problems in 150 records; no record was scored"
    assert len(content["problems"]) == MAX_SHOWN_PROBLEMS
    assert content["problems_left_out"] == 50


def test_malformed_json_is_a_bad_request(client: TestClient) -> None:
    response = client.post("/predict", content=b"{", headers={"content-type": "application/json"})

    assert response.status_code == 400
    assert "not JSON" in response.json()["error"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_only_json_is_read(client: TestClient, record: dict[str, Any], content_type: str, status: int) -> None:
    response = client.post("/predict", content=json.dumps(record), headers={"content-type": content_type})

    assert response.status_code == status


def test_an_announced_body_that_is_too_long_is_refused(client: TestClient) -> None:
    response = client.post(
        "/predict", content=b" " * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"}
    )

    assert response.status_code == 413


def test_a_body_that_grows_too_long_is_refused(client: TestClient) -> None:
    chunks = (b" " * 1_000_000 for _ in range(9))

    response = client.post("/predict", content=chunks, headers={"content-type": "application/json"})

    assert response.status_code == 413


def test_too_many_records_are_refused(client: TestClient) -> None:
    response = client.post("/predict", json={"records": [{}] * 10_001})

    assert response.status_code == 413
    assert "10000" in response.json()["error"]


def test_an_exception_is_a_500_that_keeps_its_traceback_to_the_log(
    served: Served, record: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Predictor):
        def predict(self, records: Any) -> Any:
            raise RuntimeError("the secret of the house")

    assert served.predictor is not None
    served.predictor.__class__ = Broken

    response = TestClient(Application(served)).post("/predict", json=record)

    assert response.status_code == 500
    assert response.json() == {"error": "the service failed on this request; its log says why"}
    assert response.headers["x-sextant-coordinates"] == "c0ffee"
    assert "POST /predict failed" in caplog.text
    assert "the secret of the house" in caplog.text


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


EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


def test_an_event_changes_the_next_score_and_a_correction_the_one_after(
    client: TestClient, record: dict[str, Any]
) -> None:
    before = client.post("/predict", json=record).json()["score"]

    answers = [client.post("/events", json={"table": "flights", "rows": [EVENT, EVENT]})]
    after = client.post("/predict", json=record).json()["score"]
    withdrawn = {**EVENT, "departed_at": None}
    answers.append(client.post("/events", json={"table": "flights", "rows": [withdrawn]}))

    assert [answer.json() for answer in answers] == [{"accepted": 2, "replaced": 1}, {"accepted": 1, "replaced": 1}]
    assert after > before  # by the weight of one more flight
    assert client.post("/predict", json=record).json()["score"] == before


def test_bad_events_are_refused_as_records_are(client: TestClient) -> None:
    rows = [EVENT, {**EVENT, "delay": 1e30}]

    response = client.post("/events", json={"table": "flights", "rows": rows})

    assert response.status_code == 422
    content = response.json()
    assert content["error"] == "1 problem in 1 row; no row was accepted"
    assert (content["problems"][0]["record"], content["problems"][0]["field"]) == (1, "delay")


def test_events_of_another_table_are_refused(client: TestClient) -> None:
    response = client.post("/events", json={"table": "trains", "rows": [EVENT]})

    assert response.status_code == 422
    assert response.json()["problems"][0]["allowed"] == ["flights"]


def test_events_without_a_table_are_refused(client: TestClient) -> None:
    response = client.post("/events", json=[EVENT])

    assert response.status_code == 422
    assert '{"table": ..., "rows": [...]}' in response.json()["error"]


def test_a_model_without_events_refuses_them(write_bundle: Any, plan: dict[str, Any]) -> None:
    served = Served()
    served.load(write_bundle({**plan, "events": {}}))

    response = TestClient(Application(served)).post("/events", json={"table": "flights", "rows": [EVENT]})

    assert response.status_code == 422
    assert "this model takes no events" in response.json()["problems"][0]["error"]


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
