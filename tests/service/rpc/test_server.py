"""Triton's client over gRPC against a server of its own port."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from resources.bentos import free_port
from service.http.access import read_access
from service.http.app import Application
from service.http.limits import Limits, SettingError
from service.http.served import Served
from service.rpc import server
from service.rpc.server import Server, read_address, serve_beside
from tests.service.http.test_drain import serving

COUNT = 150
TYPES = {"sent_at": "BYTES", "due": "BYTES", "carrier": "BYTES", "weight": "FP64", "pieces": "INT64", "fragile": "BOOL"}


class Loop:
    """An event loop in a thread, as a worker has one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end()


@pytest.fixture
def started(parcels: Served, loop: Loop) -> Iterator[Server]:
    started = loop.run(server.start(parcels, "127.0.0.1", 0))
    yield started
    loop.run(started.close())


@pytest.fixture
def client(started: Server) -> Iterator[Any]:
    from tritonclient.grpc import InferenceServerClient

    with InferenceServerClient(f"127.0.0.1:{started.port}") as client:
        yield client


@pytest.fixture
def records(parcel: dict[str, Any]) -> list[dict[str, Any]]:
    weights = [None, 2.5, -70.0]
    return [
        {**parcel, "weight": weights[place % 3], "pieces": place % 20, "carrier": ["UA", None][place % 2]}
        for place in range(COUNT)
    ]


def inputs_of(records: list[dict[str, Any]]) -> list[Any]:
    from tritonclient.grpc import InferInput

    kinds: dict[str, Any] = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
    inputs = []
    for name, kind in TYPES.items():
        values = [record[name] for record in records]
        filled = [("" if kind == "BYTES" else np.nan) if value is None else value for value in values]
        inputs.append(
            InferInput(name, [len(records), 1], kind).set_data_from_numpy(np.array(filled, kinds[kind])[:, None])
        )
    return inputs


def expected(served: Served, records: list[dict[str, Any]]) -> Any:
    return TestClient(Application(served)).post("/predict", json={"records": records}).json()


@pytest.mark.parametrize("count", [1, COUNT])
def test_tritons_client_is_answered_as_predict_answers(
    client: Any, parcels: Served, records: list[dict[str, Any]], count: int
) -> None:
    records = records[:count]

    result = client.infer("parcels", inputs_of(records), request_id="7", parameters={"empty_is_missing": True})

    answers = expected(parcels, records)
    assert result.as_numpy("score").tolist() == answers["scores"]
    assert result.as_numpy("decision").tolist() == answers["decisions"]
    assert [json.loads(text) for text in result.as_numpy("warnings")] == answers["warnings"]
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("7", "parcels", "3")


def test_the_server_and_the_model_are_described(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("parcels", "3")
    assert list(client.get_server_metadata().extensions) == ["binary_tensor_data"]
    about = client.get_model_metadata("parcels")
    assert {tensor.name: tensor.datatype for tensor in about.inputs} == {**TYPES, "pieces": "FP64"}
    assert [(tensor.name, list(tensor.shape)) for tensor in about.outputs] == [
        ("score", [-1]),
        ("decision", [-1]),
        ("warnings", [-1]),
    ]


def test_outputs_are_chosen_and_typed_contents_answered_so(
    started: Server, parcels: Served, parcel: dict[str, Any]
) -> None:
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    request = service_pb2.ModelInferRequest(model_name="parcels", outputs=[{"name": "score"}, {"name": "warnings"}])
    fields = {"BYTES": "bytes_contents", "FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents"}
    for name, kind in TYPES.items():
        value = parcel[name].encode() if kind == "BYTES" else parcel[name]
        tensor = request.inputs.add(name=name, datatype=kind, shape=[1])
        getattr(tensor.contents, fields[kind]).append(value)

    with grpc.insecure_channel(f"127.0.0.1:{started.port}") as channel:
        response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)

    score, warnings = response.outputs
    assert list(score.contents.fp64_contents) == expected(parcels, [parcel])["scores"]
    assert list(warnings.contents.bytes_contents) == [b"[]"]
    assert not response.raw_output_contents


def test_what_cannot_be_answered_is_said(client: Any, parcels: Served, parcel: dict[str, Any]) -> None:
    from tritonclient.grpc import InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    def refused(name: str = "parcels", version: str = "", inputs: Any = None, outputs: Any = None) -> str:
        with pytest.raises(InferenceServerException) as raised:
            client.infer(name, inputs or inputs_of([parcel]), version, outputs=outputs)
        return f"{raised.value.status()} {raised.value.message()}"

    wrong = [InferInput("weight", [1], "BYTES").set_data_from_numpy(np.array(["far"], np.object_))]
    late = inputs_of([{**parcel, "sent_at": "yesterday"}])
    assert "StatusCode.NOT_FOUND there is no model 'others'" in refused("others")
    assert "StatusCode.NOT_FOUND" in refused(version="4")
    assert "INVALID_ARGUMENT the input 'weight' is BYTES" in refused(inputs=wrong)
    assert "INVALID_ARGUMENT unknown outputs ['shap']" in refused(outputs=[InferRequestedOutput("shap")])
    assert "INVALID_ARGUMENT 1 problem in 1 row; no row was scored\nrow 0, column 'sent_at'" in refused(inputs=late)
    parcels.limits = Limits(batch_rows=1)
    assert "RESOURCE_EXHAUSTED there are 2 rows" in refused(inputs=inputs_of([parcel, parcel]))
    parcels.version, parcels.not_ready = None, "the model is being loaded"
    assert "UNAVAILABLE the model is being loaded" in refused()
    assert not client.is_server_ready()


def test_requests_are_counted_by_method(client: Any, parcels: Served, parcel: dict[str, Any]) -> None:
    client.infer("parcels", inputs_of([parcel]))
    client.is_server_live()

    figures = TestClient(Application(parcels)).get("/metrics").text

    route = "inference.GRPCInferenceService"
    assert f'sextant_request_seconds_count{{route="{route}/ModelInfer",status="200"}} 1.0' in figures
    assert f'route="{route}/ServerLive"' in figures


def test_workers_share_a_port_and_what_is_in_work_is_finished(parcels: Served, loop: Loop, parcel: Any) -> None:
    from tritonclient.grpc import InferenceServerClient

    one = loop.run(server.start(parcels, "127.0.0.1", 0))
    other = loop.run(server.start(parcels, "127.0.0.1", one.port))
    assert len(parcels.closers) == 2

    with InferenceServerClient(f"127.0.0.1:{one.port}") as client:
        assert client.infer("parcels", inputs_of([parcel])).as_numpy("score").shape == (1,)
        loop.run(one.close())
        loop.run(other.close())
        with pytest.raises(Exception, match=r"UNAVAILABLE|failed to connect"):
            client.infer("parcels", inputs_of([parcel]), client_timeout=2)


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("", None),
        ("8033", ("127.0.0.1", 8033)),
        ("0.0.0.0:8033", ("0.0.0.0", 8033)),
        ("[::]:8033", ("::", 8033)),
    ],
)
def test_the_setting_is_a_port_or_a_host_and_a_port(
    setting: str, address: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "listeners", list)

    assert read_address({"SEXTANT_GRPC_PORT": setting}) == address


@pytest.mark.parametrize("setting", ["no", "-1", "70000", "1.5", "host:", "²"])
def test_a_setting_that_is_none_leaves_a_process_that_is_not_ready(parcels: Served, setting: str) -> None:
    with pytest.raises(SettingError, match="allowed: a port, or a host and a port"):
        read_address({"SEXTANT_GRPC_PORT": setting})

    asyncio.run(serve_beside(parcels, {"SEXTANT_GRPC_PORT": setting}))

    assert parcels.not_ready is not None
    assert "SEXTANT_GRPC_PORT" in parcels.not_ready


def test_without_its_package_it_says_what_to_install(parcels: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)

    with pytest.raises(SettingError, match="grpc is not installed: install grpcio and protobuf beside the service"):
        asyncio.run(server.start(parcels, "127.0.0.1", 0))


def ask_while_ready(address: str, inputs: Any, begin: threading.Barrier) -> int:
    """Ask as long as the server says that it is ready; return how often it has answered."""
    from tritonclient.grpc import InferenceServerClient

    answered = 0
    with InferenceServerClient(address) as client:
        while client.is_server_ready():
            assert client.infer("parcels", inputs).as_numpy("score").shape == (1,)
            answered += 1
            if answered == 1:
                begin.wait(60)
    return answered


@pytest.mark.slow
def test_sigterm_loses_no_request_of_clients_that_follow_readiness(
    write_parcels: Any, parcel: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, begin = free_port(), threading.Barrier(9)
    monkeypatch.setenv("SEXTANT_GRPC_PORT", str(port))
    with serving(write_parcels(), tmp_path) as (process, _), ThreadPoolExecutor(8) as threads:
        address, inputs = f"127.0.0.1:{port}", inputs_of([parcel])
        clients = [threads.submit(ask_while_ready, address, inputs, begin) for _ in range(8)]
        begin.wait(60)
        process.send_signal(signal.SIGTERM)

        answered = [client.result(60) for client in clients]
        ended = process.wait(60)

    assert min(answered) > 0
    assert ended == 0


def test_a_request_needs_a_key_where_http_needs_one(client: Any, parcels: Served, parcel: dict[str, Any]) -> None:
    from tritonclient.utils import InferenceServerException

    parcels.access = read_access({"SEXTANT_API_KEYS": "the-secret-of-the-house"})
    right = {"x-api-key": "the-secret-of-the-house"}

    assert client.is_server_live()
    assert client.is_server_ready()
    for headers in (None, {"x-api-key": "another"}, {"authorization": "Bearer another"}):
        with pytest.raises(InferenceServerException, match="this service takes an API key") as raised:
            client.infer("parcels", inputs_of([parcel]), headers=headers)
        assert raised.value.status() == "StatusCode.UNAUTHENTICATED"
        with pytest.raises(InferenceServerException, match="this service takes an API key"):
            client.get_model_metadata("parcels", headers=headers)
    bearer = {"authorization": "Bearer the-secret-of-the-house"}
    for headers in (right, bearer):
        assert client.infer("parcels", inputs_of([parcel]), headers=headers).as_numpy("score").shape == (1,)


def test_more_requests_than_may_be_in_work_are_refused(client: Any, parcels: Served, parcel: dict[str, Any]) -> None:
    from tritonclient.utils import InferenceServerException

    parcels.work.count = parcels.limits.concurrent

    with pytest.raises(InferenceServerException, match="256 requests are in work; send it again later"):
        client.infer("parcels", inputs_of([parcel]))
    assert client.is_server_ready()
    parcels.work.count = 0
    assert client.infer("parcels", inputs_of([parcel])).as_numpy("score").shape == (1,)
    assert parcels.work.count == 0
