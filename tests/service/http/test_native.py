from __future__ import annotations

import json
from asyncio import _get_running_loop
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import onnx
import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.scoring import MAX_SHOWN_PROBLEMS
from service.http.served import Served
from service.predict.predictor import Prediction, Predictor

GOLDEN_SCORE = 0.9355352  # of the record, by hand: sigmoid(2.675)


def test_one_record_gets_one_score(client: TestClient, record: dict[str, Any]) -> None:
    response = client.post("/predict", json=record)

    assert response.status_code == 200
    content = response.json()
    assert UUID(content.pop("id")).version == 7
    assert content == {
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


@pytest.mark.parametrize("is_quick", [True, False])
def test_records_that_may_take_long_are_answered_beside_other_requests(
    client: TestClient, served: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, is_quick: bool
) -> None:
    in_loop = []

    class Watched(Predictor):
        def predict(self, records: Sequence[Any], *limits: Any) -> Prediction:
            in_loop.append(_get_running_loop() is not None)
            return super().predict(records, *limits)

    monkeypatch.setattr(Watched, "is_quick", is_quick)
    served.require_predictor().__class__ = Watched

    assert client.post("/predict", json=record).status_code == 200
    assert in_loop == [is_quick]


def test_values_that_training_had_not_are_warned_of(write_bundle: Any, record: dict[str, Any]) -> None:
    folder = write_bundle()
    model = onnx.load(folder / "model.onnx")
    usual = {"distance": {"missing": 0.0, "lowest": 17.0, "highest": 4983.0}, "charter": {"missing": 0.5}}
    model.metadata_props.add(key="sextant.usual", value=json.dumps(usual))
    onnx.save(model, folder / "model.onnx")
    served = Served()
    served.load(folder)
    client = TestClient(Application(served))

    records = [record, {**record, "distance": -500}, {"scheduled_departure": record["scheduled_departure"]}]
    content = client.post("/predict", json={"records": records}).json()

    assert content["warnings"] == [
        [],
        ["distance -500 is far from training, where it was from 17 to 4983"],
        [
            "distance is missing, as in 0.0% of the rows of training",
            "planes: no row, for tailnum is missing",
            "weather: no row, for origin is missing",
            "origin: no history, for origin is missing",
        ],
    ]


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


def test_a_number_without_a_finite_answer_is_named_and_the_others_are_not(
    write_bundle: Any, record: dict[str, Any]
) -> None:
    served = Served()  # 10 * 3e38 and -1e37 * 100 are infinite in float32, and their sum is none
    weights = [10.0, -1e37, 0.1]
    served.load(write_bundle(numeric=["distance", "planes.seats", "charter"], weights=weights, golden_score=0.0))
    client, fine = TestClient(Application(served)), {**record, "charter": True}

    response = client.post("/predict", json={"records": [fine, {**fine, "distance": 3e38}, fine]})

    assert response.status_code == 422
    assert response.json() == {
        "error": "1 problem in 1 record; no record was scored",
        "problems": [
            {
                "error": "the model has no finite answer to it",
                "record": 1,
                "field": "distance",
                "given": 3e38,
                "allowed": "numbers for which the model computes a finite one, such as those of training",
            }
        ],
    }
    assert client.post("/predict", json=fine).json()["score"] == 0.0


def test_many_problems_are_cut_short_and_counted(client: TestClient) -> None:
    content = client.post("/predict", json={"records": [{}] * 150}).json()

    assert content["error"] == "150 problems in 150 records; no record was scored"
    assert len(content["problems"]) == MAX_SHOWN_PROBLEMS
    assert content["problems_left_out"] == 50


def test_too_many_records_are_refused(client: TestClient) -> None:
    response = client.post("/predict", json={"records": [{}] * 10_001})

    assert response.status_code == 413
    assert "10000" in response.json()["error"]


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
