"""The end of a served process under load; it is started as in production, by `bentoml serve`."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http import drain
from service.http.app import Application
from service.http.drain import listeners
from service.http.served import Served
from tests.support.serving import serving

CLIENTS = 32
DRAIN_S = 1.5


def test_a_draining_process_answers_but_is_not_ready_and_keeps_no_connection(
    served: Served, record: dict[str, Any]
) -> None:
    client = TestClient(Application(served))
    assert "connection" not in client.post("/predict", json=record).headers

    served.drain()

    response = client.post("/predict", json=record)
    assert (response.status_code, response.headers["connection"]) == (200, "close")
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json() == {"error": "the service is shutting down"}
    assert client.get("/healthz").status_code == 200


def test_the_sockets_that_take_connections_are_found_and_no_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        found = []
        for listener in listeners():
            with listener:
                found.append(listener.getsockname())

        assert server.getsockname() in found
        assert client.getsockname() not in found


class Unfiltered(socket.socket):
    """A socket of a kernel that lets this process attach no filter, as some do to whoever is not root."""

    def setsockopt(self, level: int, option: int, value: Any, *_: Any) -> None:  # type: ignore[override]
        if option == drain.SO_ATTACH_FILTER:
            raise PermissionError(1, "Operation not permitted")
        super().setsockopt(level, option, value)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_where_no_filter_may_be_attached_new_connections_wait_and_old_ones_go_on(family: int) -> None:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with Unfiltered(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((host, port)) as before:
            drain._take_no_more(listener)

            with pytest.raises(TimeoutError):
                socket.create_connection((host, port), timeout=0.05)
            before.sendall(b"asked")
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(5) == b"asked"
        drain._want_hops(listener, drain.ANY_HOPS)
        socket.create_connection((host, port), timeout=5).close()


def ask_until_refused(address: str, body: str, begin: Barrier) -> tuple[int, int]:
    """Ask over a kept connection, and a new one where the answer closes it; return the answers and the lost ones."""
    answered = lost = 0
    connection = HTTPConnection(address, timeout=10)
    connection.connect()
    begin.wait()
    while True:
        try:
            if connection.sock is None:
                connection.connect()
        except (ConnectionRefusedError, TimeoutError):  # nothing was sent: it may go elsewhere
            return answered, lost
        try:
            connection.request("POST", "/predict", body, {"content-type": "application/json"})
            assert connection.getresponse().read().startswith(b'{"score"')
            answered += 1
        except OSError:
            lost += 1
            connection.close()


def follow_readiness(address: str, begin: Barrier) -> tuple[float, str]:
    """Ask for readiness, as Kubernetes does, until it is denied; return when that was, and why."""
    begin.wait()
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/readyz", timeout=10).read()
        except urllib.error.HTTPError as error:
            return time.monotonic(), json.load(error)["error"]


@pytest.mark.slow
def test_sigterm_under_load_loses_no_request_and_leaves_no_files(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    begin = Barrier(CLIENTS + 2)
    with (
        serving(write_bundle(), tmp_path, SEXTANT_DRAIN_SECONDS=str(DRAIN_S)) as (process, address),
        ThreadPoolExecutor(CLIENTS + 1) as threads,
    ):
        clients = [threads.submit(ask_until_refused, address, json.dumps(record), begin) for _ in range(CLIENTS)]
        follower = threads.submit(follow_readiness, address, begin)
        begin.wait()
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)

        denied, reason = follower.result(60)
        counted = [client.result(60) for client in clients]
        ended = process.wait(60)

    assert sum(lost for _, lost in counted) == 0
    assert min(answered for answered, _ in counted) > 0
    assert 0 <= denied - told < DRAIN_S
    assert reason == "the service is shutting down"
    assert ended == 0
    assert not list((tmp_path / "temporary").glob("sextant-metrics-*"))
