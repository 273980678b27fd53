from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from service.http.app import endpoints
from service.http.limits import Limits
from service.http.openapi import openapi
from service.http.served import Served
from service.plan.document import Task
from service.plan.reading import read_plan
from service.predict import answers
from service.predict.answers import Interval
from service.records.usual import UsualColumn

EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


def schema_in(document: Any, part: Any) -> Draft202012Validator:
    """Return a validator of a part of the document, whose references are followed."""
    return Draft202012Validator({**part, "components": document["components"]})


def check(document: Any, path: str, response: Any) -> None:
    """Check a response by what the document says of the route and the status."""
    operation = document["paths"][path][response.request.method.lower()]
    content = operation["responses"][str(response.status_code)]["content"]["application/json"]
    schema_in(document, content["schema"]).validate(response.json())


@pytest.fixture
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def test_every_route_is_described(client: TestClient, document: Any) -> None:
    listed = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}

    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "flight_delays"
    assert document["info"]["version"] == "3"
    assert listed == client.get("/").json()["routes"].keys()


def test_every_schema_is_one_and_every_reference_leads_somewhere(document: Any) -> None:
    text = json.dumps(document)

    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.partition('"')[0] in document["components"]["schemas"]
    identifiers = [op["operationId"] for operations in document["paths"].values() for op in operations.values()]
    assert len(set(identifiers)) == len(identifiers)


def test_what_is_answered_is_what_is_described(client: TestClient, document: Any, record: dict[str, Any]) -> None:
    asked: list[tuple[str, Any, int]] = [
        ("/predict", record, 200),
        ("/predict", {"records": [record, {**record, "tailnum": None}]}, 200),
        ("/predict", {"records": []}, 422),
        ("/predict", {**record, "distance": "far"}, 422),
        ("/predict", {"records": [{}] * 150}, 422),
        ("/predict", {"records": [record] * 10_001}, 413),
        ("/predict", [], 422),
        ("/events", {"table": "flights", "rows": [EVENT]}, 200),
        ("/events", {"table": "trains", "rows": [EVENT]}, 422),
    ]
    for path, body, status in asked:
        response = client.post(path, json=body)
        assert response.status_code == status
        check(document, path, response)
        takes = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema_in(document, takes).is_valid(body) == (status == 200)
    for path in ("/", "/schema", "/coordinates", "/readyz", "/healthz"):
        check(document, path, client.get(path))
    check(document, "/predict", client.post("/predict", content=b"{", headers={"content-type": "application/json"}))
    tensor = {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]}
    when = {**tensor, "name": "scheduled_departure", "data": [record["scheduled_departure"]]}
    split = {"dataframe_split": {"columns": list(record), "data": [list(record.values())]}}
    for path, body, status in [
        ("/v2/models/flight_delays/infer", {"inputs": [when, tensor]}, 200),
        ("/v2/models/flight_delays/infer", {"inputs": [tensor]}, 422),
        ("/v2/models/flight_delays/versions/3/infer", {"inputs": [{**when, "datatype": "FP64"}]}, 400),
        ("/invocations", split, 200),
        ("/invocations", {"instances": [record]}, 200),
        ("/invocations", {"records": [record]}, 200),
        ("/invocations", {"instances": 7}, 422),
    ]:
        response = client.post(path, json=body)
        assert response.status_code == status, response.text
        check(document, path, response)
        takes = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert status >= 400 or schema_in(document, takes).is_valid(body)
    for path in (
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/flight_delays",
        "/ping",
        "/health",
        "/version",
    ):
        check(document, path, client.get(path))
    check(document, "/predict", client.post("/predict", content=b"{}", headers={"content-type": "text/plain"}))


def test_what_training_had_describes_a_column(plan: dict[str, Any]) -> None:
    usual = {"distance": UsualColumn(0.25, 17.0, 4983.0), "carrier": UsualColumn(0.0)}

    document = openapi(read_plan(json.dumps(plan).encode()), endpoints(Served()), Limits(records=7), usual=usual)

    columns = document["components"]["schemas"]["Record"]["properties"]
    assert (
        columns["distance"]["description"]
        == "from 17 to 4983 in training, and missing in 25.0% of the rows of training"
    )
    assert columns["carrier"]["description"] == "missing in 0.0% of the rows of training"
    assert document["components"]["schemas"]["Records"]["properties"]["records"]["maxItems"] == 7


@pytest.mark.parametrize(
    ("task", "scores", "thresholds"),
    [
        (Task(), [0.25, 0.75], []),
        (Task(), [0.25, 0.75], [0.5]),
        (Task("regression"), [-3.5, 1e6], []),
        (Task("regression"), [-3.5, 1e6], Interval(0.9, 2.5)),
        (Task("multiclass", ("a", "b")), [[0.25, 0.75], [1.0, 0.0]], []),
        (Task(several=("churn", "upgrade")), [[0.25, 0.75], [1.0, 0.0]], [0.5, 0.1]),
    ],
)
def test_the_answers_of_every_task_are_described(
    plan: dict[str, Any], task: Task, scores: Any, thresholds: Any
) -> None:
    described = read_plan(json.dumps({**plan, "task": msgspec.to_builtins(task), "key": {"id": "number"}}).encode())
    interval, cuts = (thresholds, []) if isinstance(thresholds, Interval) else (None, thresholds)
    document = openapi(described, endpoints(Served()), Limits(), thresholds=cuts, interval=interval)
    about, key = {"model": "m:1", "coordinates": "c"}, {"id": 7}

    one = {**answers.one(task, scores[0], cuts, interval), **about, "id": "u", "warnings": [], "key": key}
    many = {**answers.many(task, scores, cuts, interval), **about, "ids": ["u", "v"], "warnings": [[], ["x"]]}
    many["keys"] = [key, None]

    schemas = document["components"]["schemas"]
    schema_in(document, schemas["Answer"]).validate(one)
    schema_in(document, schemas["Answers"]).validate(many)
