"""The routes that SageMaker and MLflow ask; `test_clients` has MLflow's own client."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

from service.frames.pyfunc import answer_frame
from service.http.app import Application
from service.http.limits import Limits
from service.http.served import Served
from tests.support.applications import unnamed


@pytest.fixture
def asker(parcels: Served) -> TestClient:
    return TestClient(Application(parcels))


@pytest.fixture
def records(parcel: dict[str, Any]) -> list[dict[str, Any]]:
    return [parcel, {**parcel, "weight": None, "pieces": 50}, {**parcel, "carrier": None}]


def test_every_form_of_mlflow_is_answered_alike(
    asker: TestClient, parcels: Served, records: list[dict[str, Any]]
) -> None:
    names = list(parcels.require_predictor().plan.record)
    rows = [[record[name] for name in names] for record in records]
    forms: list[dict[str, Any]] = [
        {"dataframe_split": {"columns": names, "index": [5, 6, 7], "data": rows}},
        {"dataframe_records": records, "params": {}},
        {"instances": records},
        {"instances": rows},
        {"inputs": {name: [record[name] for record in records] for name in names}},
        {"inputs": {name: [[record[name]] for record in records] for name in names}},
        {"inputs": rows},
        {"inputs": records, "params": None, "signature_name": "serving_default"},
    ]

    answers = [asker.post("/invocations", json=form).json() for form in forms]

    expected = asker.post("/predict", json={"records": records}).json()
    assert all(answer == answers[0] for answer in answers)
    predictions = answers[0]["predictions"]
    assert [row["score"] for row in predictions] == expected["scores"]
    assert [row["decision"] for row in predictions] == expected["decisions"]
    assert [row["warnings"] for row in predictions] == expected["warnings"]


def test_a_table_is_answered_as_mlflows_server_answers_it(
    asker: TestClient, parcels: Served, records: list[dict[str, Any]]
) -> None:
    from mlflow.pyfunc.scoring_server import predictions_to_json

    frame, written = pd.DataFrame(records), pd.io.common.StringIO()
    predictions_to_json(answer_frame(parcels.require_predictor(), frame), written)

    response = asker.post("/invocations", json={"dataframe_split": json.loads(frame.to_json(orient="split"))})

    assert response.json() == json.loads(written.getvalue())


def test_missing_may_be_nan_as_mlflows_client_writes_it(asker: TestClient, records: list[dict[str, Any]]) -> None:
    body = json.dumps({"dataframe_records": records}).replace("null", "NaN", 1)

    response = asker.post("/invocations", content=body, headers={"content-type": "application/json"})

    assert response.json() == asker.post("/invocations", json={"dataframe_records": records}).json()


def test_records_are_answered_as_by_predict(asker: TestClient, records: list[dict[str, Any]]) -> None:
    for body in (records[0], {"records": records}, {"records": [{}]}, {}, []):
        response, expected = asker.post("/invocations", json=body), asker.post("/predict", json=body)
        assert response.status_code == expected.status_code
        assert unnamed(response.json()) == unnamed(expected.json())


def test_csv_is_answered_with_predictions_or_as_accepted(asker: TestClient, records: list[dict[str, Any]]) -> None:
    body = pd.DataFrame(records).to_csv(index=False).encode()

    predictions = asker.post("/invocations", content=body, headers={"content-type": "text/csv"})
    lines = asker.post("/invocations", content=body, headers={"content-type": "text/csv", "accept": "text/csv"})

    scores = asker.post("/predict", json={"records": records}).json()["scores"]
    assert [row["score"] for row in predictions.json()["predictions"]] == scores
    header, *rows = lines.text.splitlines()
    assert header == '"score","decision","warnings","id"'
    assert [float(row.partition(",")[0]) for row in rows] == scores


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"instances": {}}, 422, "instances is no list of rows"),
        ({"instances": [[1]]}, 422, "row 0 of instances is no list of 6 values"),
        ({"instances": [7]}, 422, "1 problem in 1 record; no record was scored"),
        ({"inputs": {"weight": [1], "pieces": [1, 2]}}, 422, "the columns of inputs have different lengths: [1, 2]"),
        ({"inputs": {}}, 422, "inputs has no columns"),
        ({"inputs": 7}, 422, "inputs is no list of rows"),
        ({"dataframe_split": [1]}, 422, 'dataframe_split is not {"columns": [...]'),
        ({"dataframe_split": {"data": [[1]]}}, 422, "the columns of dataframe_split are no list of names"),
        ({"dataframe_split": {"columns": ["weight"], "data": [[1, 2]]}}, 422, "row 0 of dataframe_split"),
        ({"dataframe_split": {"columns": ["weight", "weight"], "data": []}}, 422, "have a name twice"),
        ({"dataframe_records": [[1]]}, 422, "1 problem in 1 record"),
        ({"dataframe_records": [{"wings": 1}]}, 422, "2 problems in 1 record"),
        ({"instances": [], "inputs": []}, 422, "instances stands beside ['inputs']; send it alone"),
        ({"instances": [], "params": {"temperature": 1}}, 422, "params are given, and this model takes none"),
        ({"instances": [{}] * 3}, 413, "3 rows were given; send at most 2 at a time"),
    ],
)
def test_what_is_no_form_is_said(parcels: Served, body: Any, status: int, message: str) -> None:
    parcels.limits = Limits(records=2)

    response = TestClient(Application(parcels)).post("/invocations", json=body)

    assert (response.status_code, message in response.json()["error"]) == (status, True), response.text


def test_no_rows_have_no_predictions(asker: TestClient) -> None:
    assert asker.post("/invocations", json={"instances": []}).json() == {"predictions": []}


def test_another_content_is_refused(asker: TestClient) -> None:
    response = asker.post("/invocations", content=b"x", headers={"content-type": "text/html"})

    assert response.status_code == 415


def test_a_ping_says_whether_the_model_answers(asker: TestClient, parcels: Served) -> None:
    for path in ("/ping", "/health"):
        assert asker.get(path).status_code == 200
    assert asker.get("/version").json() == {"version": "3", "model": "parcels:3", "coordinates": "c0ffee"}

    parcels.not_ready = "the service is shutting down"

    for path in ("/ping", "/health"):
        assert asker.get(path).json() == {"error": "the service is shutting down"}
        assert asker.get(path).status_code == 503
