from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from service.http.app import Application, endpoints
from service.http.limits import Limits
from service.http.served import Served
from service.predict.predictor import Predictor


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
    routes = client.get("/").json()["routes"]

    plain = {endpoint.title for endpoint in endpoints(Served()) if endpoint.group and "{" not in endpoint.path}
    assert plain <= set(routes)
    assert "POST /v2/models/flight_delays/versions/3/infer" in routes
    for route in routes:
        method, path = route.split()
        assert client.request(method, path).status_code not in (404, 405)


def test_a_get_route_answers_head_and_another_method_is_told_which_to_take(client: TestClient) -> None:
    head, post = client.head("/healthz"), client.post("/schema")

    assert (head.status_code, head.content) == (200, b"")
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")
    assert post.json()["error"] == "/schema takes GET, HEAD, and not POST"


def test_it_may_be_mounted_in_another_application(served: Served, record: dict[str, Any]) -> None:
    client = TestClient(Starlette(routes=[Mount("/models/delays", Application(served))]))

    assert client.post("/models/delays/predict", json=record).status_code == 200
    assert client.get("/models/delays/").json()["use_case"] == "flight_delays"
    assert "there is no /nowhere; the routes are" in client.get("/models/delays/nowhere").json()["error"]


def test_a_record_is_answered_by_few_calls(served: Served, record: dict[str, Any]) -> None:
    body, sent, calls = json.dumps(record).encode(), list[Any](), list[str]()
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
        await app(scope, receive, send)
        sys.setprofile(None)

    app = Application(served)
    asyncio.run(ask())  # the first request makes what later ones find
    calls.clear()
    asyncio.run(ask())

    assert sent[0]["status"] == 200
    # The time of a request is mostly that of its calls: a router and its middleware would add a half to these.
    assert len(calls) <= 125, calls


def test_the_example_of_the_index_can_be_sent(client: TestClient) -> None:
    assert client.post("/predict", json=client.get("/").json()["example"]).status_code == 200


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


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_body_that_is_packed_is_refused(client: TestClient, record: dict[str, Any], encoding: str) -> None:
    response = client.post("/predict", json=record, headers={"content-encoding": encoding})

    assert response.status_code == 415
    assert "send the body as it is" in response.json()["error"]


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_is_not_packed_may_say_so(client: TestClient, record: dict[str, Any], encoding: str) -> None:
    assert client.post("/predict", json=record, headers={"content-encoding": encoding}).status_code == 200


@pytest.mark.parametrize("path", ["/%ff", "/%00", "/predict/", "/pr%C3%A9dict", "/" + "x" * 5000])
def test_a_path_that_is_no_route_is_a_404_in_few_words(client: TestClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert len(response.json()["error"]) < 500


def test_an_announced_body_that_is_too_long_is_refused(client: TestClient) -> None:
    longer = b" " * (Limits().body_bytes + 1)

    response = client.post("/predict", content=longer, headers={"content-type": "application/json"})

    assert response.status_code == 413


def test_a_body_that_grows_too_long_is_refused(client: TestClient) -> None:
    chunks = (b" " * 1_000_000 for _ in range(9))

    response = client.post("/predict", content=chunks, headers={"content-type": "application/json"})

    assert response.status_code == 413


def test_an_exception_is_a_500_that_keeps_its_traceback_to_the_log(
    served: Served, record: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Predictor):
        def predict(self, records: Any, deadline: Any = None) -> Any:
            raise RuntimeError("the secret of the house")

    served.require_predictor().__class__ = Broken

    response = TestClient(Application(served)).post("/predict", json=record)

    assert response.status_code == 500
    content = response.json()
    assert content == {"error": "the service failed on this request; its log says why", "error_id": content["error_id"]}
    assert response.headers["x-sextant-coordinates"] == "c0ffee"
    assert f"POST /predict failed, error id {content['error_id']}" in caplog.text
    assert "the secret of the house" in caplog.text
