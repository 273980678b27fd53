"""The V2 protocol as JSON and bytes; `test_clients` has Triton's own clients."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.http.access import read_access
from service.http.app import Application
from service.http.limits import Limits
from service.http.served import Served

INFER = "/v2/models/parcels/infer"
TYPES = {"sent_at": "BYTES", "due": "BYTES", "carrier": "BYTES", "weight": "FP64", "pieces": "INT64", "fragile": "BOOL"}


@pytest.fixture
def asker(parcels: Served) -> TestClient:
    return TestClient(Application(parcels))


def inputs_of(records: list[dict[str, Any]], shape: list[int] | None = None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": kind,
            "shape": shape or [len(records)],
            "data": [record.get(name) for record in records],
        }
        for name, kind in TYPES.items()
    ]


def ask(application: Any, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    """Send bytes of headers that no client would."""
    scope = {"type": "http", "path": path, "method": "POST", "headers": headers, "query_string": b""}
    answered = dict[str, Any]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        answered.update(message)

    asyncio.run(application(scope, receive, send))
    return answered


def outputs_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


def many(parcel: dict[str, Any], count: int) -> list[dict[str, Any]]:
    weights = [None, 2.5, -70.0, 1000.0]
    return [{**parcel, "weight": weights[place % 4], "pieces": place % 20, "due": None} for place in range(count)]


@pytest.mark.parametrize("count", [1, 3, 100, 101, 2_500])
def test_tensors_are_answered_as_records(asker: TestClient, parcel: dict[str, Any], count: int) -> None:
    records = many(parcel, count)

    response = asker.post(INFER, json={"id": "7", "inputs": inputs_of(records)})

    expected = asker.post("/predict", json={"records": records}).json()
    outputs = outputs_of(response)
    assert outputs["score"] == expected["scores"]
    assert outputs["decision"] == expected["decisions"]
    assert list(map(json.loads, outputs["warnings"])) == expected["warnings"]
    about = {name: response.json()[name] for name in ("id", "model_name", "model_version")}
    assert about == {"id": "7", "model_name": "parcels", "model_version": "3"}


@pytest.mark.parametrize("length", [b"\xb2", b"\xd9\xa3", b"+5", b"-1", b"9" * 400, b""])
def test_a_length_that_is_no_number_is_refused(asker: TestClient, parcel: dict[str, Any], length: bytes) -> None:
    body = json.dumps({"inputs": inputs_of([parcel])}).encode()
    headers = [(b"content-type", b"application/json"), (b"inference-header-content-length", length)]

    response = ask(asker.app, INFER, headers, body)

    assert response["status"] == 400
    assert b"and the body has" in response["body"]


@pytest.mark.parametrize("place", ["request", "input", "output", "all outputs"])
def test_a_parameter_that_is_neither_true_nor_false_is_refused(
    asker: TestClient, parcel: dict[str, Any], place: str
) -> None:
    request: dict[str, Any] = {"inputs": inputs_of([parcel]), "outputs": [{"name": "score"}]}
    named = {"request": "empty_is_missing", "input": "empty_is_missing", "output": "binary_data"}
    name = named.get(place, "binary_data_output")
    holder = {"input": request["inputs"][0], "output": request["outputs"][0]}.get(place, request)
    holder["parameters"] = {name: "false"}

    response = asker.post(INFER, json=request)

    assert response.status_code == 400
    assert response.json()["error"] == f"the parameter {name} is 'false'; it may be true or false"


def test_shapes_may_be_columns_and_outputs_chosen(asker: TestClient, parcel: dict[str, Any]) -> None:
    inputs = inputs_of([parcel, parcel], [2, 1])
    inputs[3]["data"] = [[2.5], [2.5]]

    response = asker.post(
        "/v2/models/parcels/versions/3/infer", json={"inputs": inputs, "outputs": [{"name": "score"}]}
    )

    assert outputs_of(response) == {"score": [asker.post("/predict", json=parcel).json()["score"]] * 2}


def binary(records: list[dict[str, Any]], parameters: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    inputs, contents = [], []
    for tensor in inputs_of(records):
        data = tensor.pop("data")
        if tensor["datatype"] == "BYTES":
            texts = [(text or "").encode() for text in data]
            content = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        else:
            kinds: dict[str, Any] = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}
            filled = [np.nan if value is None else value for value in data]
            content = np.array(filled, kinds[tensor["datatype"]]).tobytes()
        inputs.append({**tensor, "parameters": {"binary_data_size": len(content)}})
        contents.append(content)
    head = json.dumps({"inputs": inputs, "parameters": parameters}).encode()
    return b"".join([head, *contents]), {"inference-header-content-length": str(len(head))}


@pytest.mark.parametrize("count", [2, 1_500])
def test_bytes_are_taken_and_given(asker: TestClient, parcel: dict[str, Any], count: int) -> None:
    records = many(parcel, count)
    body, headers = binary(records, {"binary_data_output": True, "empty_is_missing": True})

    response = asker.post(INFER, content=body, headers=headers)

    assert response.status_code == 200, response.text
    expected = asker.post("/predict", json={"records": records}).json()
    length = int(response.headers["inference-header-content-length"])
    head, rest = json.loads(response.content[:length]), response.content[length:]
    sizes = {output["name"]: output["parameters"]["binary_data_size"] for output in head["outputs"]}
    assert np.frombuffer(rest[: sizes["score"]]).tolist() == expected["scores"]
    decided = rest[sizes["score"] : sizes["score"] + sizes["decision"]]
    assert np.frombuffer(decided, np.bool_).tolist() == expected["decisions"]
    assert len(rest) == sum(sizes.values())


def test_an_input_that_is_left_out_is_missing(asker: TestClient, parcel: dict[str, Any]) -> None:
    inputs = [tensor for tensor in inputs_of([parcel]) if tensor["name"] != "carrier"]
    del parcel["carrier"]

    outputs = outputs_of(asker.post(INFER, json={"inputs": inputs}))

    expected = asker.post("/predict", json=parcel).json()
    assert outputs["score"] == [expected["score"]]
    assert json.loads(outputs["warnings"][0]) == expected["warnings"] != []


@pytest.mark.parametrize("count", [1, 200])
def test_values_that_are_none_are_named_in_the_error(asker: TestClient, parcel: dict[str, Any], count: int) -> None:
    inputs = inputs_of([parcel] * count)
    inputs[3]["data"][0], inputs[0]["data"][0] = True, "yesterday"

    response = asker.post(INFER, json={"inputs": inputs})

    assert response.status_code == 422
    error = response.json()["error"]
    assert error.startswith("2 problems in 1 row; no row was scored\n")
    assert "row 0, column 'weight': not a number; given: True" in error
    assert "row 0, column 'sent_at': not a time; given: 'yesterday'" in error


def change(**parts: Any) -> Any:
    def changed(inputs: list[dict[str, Any]]) -> dict[str, Any]:
        inputs[3] |= parts
        return {"inputs": inputs}

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs: {}, "Object missing required field `inputs`"),
        (lambda inputs: {"inputs": []}, "there are no inputs"),
        (lambda inputs: {"inputs": {}}, "Expected `array`, got `object`"),
        (lambda inputs: {"inputs": [*inputs, inputs[0]]}, "['sent_at'] are there more than once"),
        (lambda inputs: {"inputs": inputs, "outputs": [{"name": "shap"}]}, "unknown outputs ['shap']"),
        (change(name="wings"), "unknown inputs ['wings']; the model takes carrier, due"),
        (change(datatype="BYTES"), "the input 'weight' is BYTES; it may be FP64 or UINT8"),
        (change(datatype="COMPLEX"), "the input 'weight' is COMPLEX"),
        (change(shape=[1, 2]), "the input 'weight' has the shape [1, 2]; it may be [n] or [n, 1]"),
        (change(shape=[-1]), "Expected `int` >= 0"),
        (change(shape=[]), "has the shape []"),
        (change(shape=[2]), "the input 'weight' has the shape [2], and 1 values"),
        (change(shape=[2], data=[1.0, 2.0]), "different numbers of rows: [1, 2]"),
        (change(data=None), "needs data or, as a parameter, binary_data_size"),
        (change(data=None, parameters={"binary_data_size": 8}), "has binary_data_size 8, and 0 bytes are left"),
        (change(data=None, parameters={"binary_data_size": -1}), "has binary_data_size -1"),
        (change(data=None, parameters={"binary_data_size": "8"}), "has binary_data_size 8"),
        (change(parameters=7), "Expected `object`, got `int`"),
    ],
)
def test_what_is_no_request_is_said(asker: TestClient, parcel: dict[str, Any], change: Any, message: str) -> None:
    response = asker.post(INFER, json=change(inputs_of([parcel])))

    assert response.status_code == 400
    assert message in response.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "999999", "3"])
def test_a_length_of_the_json_that_cannot_be_is_refused(asker: TestClient, length: str) -> None:
    response = asker.post(INFER, content=b'{"inputs": []}', headers={"inference-header-content-length": length})

    assert response.status_code == 400


def test_bytes_that_are_none_of_a_tensor_are_refused(asker: TestClient, parcel: dict[str, Any]) -> None:
    body, headers = binary([parcel], {})
    text = struct.pack("<I", 19) + b"2014-01-02T10:30:00"

    for old, new in [
        (text, struct.pack("<I", 20) + text[4:]),
        (text, struct.pack("<I", 2**31) + text[4:]),
        (text, text[:-1] + b"\xff"),
        (b'"shape": [1]', b'"shape": [9]'),
        (b'"FP64"', b'"FP32"'),
        (b'"BOOL"', b'"INT8"'),
    ]:
        changed = body.replace(old, new, 1)
        assert changed != body
        response = asker.post(INFER, content=changed, headers=headers)
        assert (response.status_code, list(response.json())) == (400, ["error"])
    more = asker.post(INFER, content=body + b"x", headers=headers)
    assert "1 bytes of the body belong to no input" in more.json()["error"]


def test_a_matrix_is_for_models_of_numbers(asker: TestClient, write_numbers: Any) -> None:
    served = Served()
    served.load(write_numbers("numbers"))
    client, route = TestClient(Application(served)), "/v2/models/numbers/infer"
    matrix = {"name": "input", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, None]]}

    outputs = outputs_of(client.post(route, json={"inputs": [matrix]}))

    records = [{"a": 1, "b": 2}, {"a": 3}]
    assert outputs["score"] == client.post("/predict", json={"records": records}).json()["scores"]
    wide = client.post(route, json={"inputs": [{**matrix, "shape": [1, 4]}]})
    assert "allowed: [n, 2]" in wide.json()["error"]
    texts = asker.post(INFER, json={"inputs": [matrix]})
    assert (
        "one input for all columns is for numbers, and carrier, due, fragile, sent_at are none" in texts.json()["error"]
    )


def test_limits_hold(parcels: Served, parcel: dict[str, Any]) -> None:
    client = TestClient(Application(parcels))

    parcels.limits = Limits(batch_rows=2)
    rows = client.post(INFER, json={"inputs": inputs_of([parcel] * 3)})
    parcels.limits = Limits(body_bytes=100)
    long = client.post(INFER, json={"inputs": inputs_of([parcel])})

    assert (rows.status_code, long.status_code) == (413, 413)
    assert rows.json() == {"error": "there are 3 rows; send at most 2 at a time"}


def test_the_server_and_the_model_are_described(asker: TestClient) -> None:
    assert asker.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert asker.get("/v2/health/live").status_code == 200
    assert asker.get("/v2/health/ready").status_code == 200
    for path in ("/v2/models/parcels", "/v2/models/parcels/versions/3"):
        content = asker.get(path).json()
        assert {tensor["name"]: tensor["datatype"] for tensor in content["inputs"]} == {**TYPES, "pieces": "FP64"}
        assert [tensor["name"] for tensor in content["outputs"]] == ["score", "decision", "warnings"]
        assert (content["name"], content["versions"]) == ("parcels", ["3"])
        assert asker.get(f"{path}/ready").json() == {"name": "parcels", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/others", "/v2/models/parcels/versions/4", "/v2/models/{name}"])
def test_another_model_is_not_there(asker: TestClient, path: str) -> None:
    responses = [asker.get(path), asker.get(f"{path}/ready"), asker.post(f"{path}/infer", json={"inputs": []})]

    assert [response.status_code for response in responses] == [404] * 3
    assert "'parcels', version '3', is served" in responses[0].json()["error"]


def test_before_a_model_is_loaded_nothing_is_ready() -> None:
    client = TestClient(Application(Served()))

    paths = ["/v2/health/ready", "/v2/models/parcels/ready", "/v2/models/parcels"]
    assert [client.get(path).status_code for path in paths] == [503] * 3
    assert client.post(INFER, json={}).status_code == 503
    assert client.get("/v2/health/live").status_code == 200


def test_figures_have_the_route_and_no_name(asker: TestClient, parcel: dict[str, Any]) -> None:
    asker.post(INFER, json={"inputs": inputs_of([parcel])})
    asker.get("/v2/models/others")

    figures = asker.get("/metrics").text

    assert 'sextant_request_seconds_count{route="/v2/models/{name}/infer",status="200"} 1.0' in figures
    assert 'sextant_request_seconds_count{route="/v2/models/{name}",status="404"} 1.0' in figures
    assert "others" not in figures


def test_probes_need_no_key(parcels: Served) -> None:
    parcels.access = read_access({"SEXTANT_API_KEYS": "the-secret-of-the-house"})
    client = TestClient(Application(parcels))

    probes = ["/v2/health/live", "/v2/health/ready", "/ping", "/health"]
    assert [client.get(path).status_code for path in probes] == [200] * 4
    assert [client.get(path).status_code for path in ("/v2", "/v2/models/parcels", "/version")] == [401] * 3
    assert client.post(INFER, json={}).status_code == 401


def test_bodies_that_wait_take_no_more_memory_than_there_is_room(parcels: Served, parcel: dict[str, Any]) -> None:
    client = TestClient(Application(parcels))

    with parcels.room.take(parcels.limits.batch_bytes * 2, parcels.limits.batch_bytes * 2):
        for path, kind in [(INFER, "application/json"), ("/predict_batch", "text/csv")]:
            response = client.post(path, content=b"x", headers={"content-type": kind})
            assert response.status_code == 429
            assert "send it again later" in response.json()["error"]
    assert client.post(INFER, json={"inputs": inputs_of([parcel])}).status_code == 200
