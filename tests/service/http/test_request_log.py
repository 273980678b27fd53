"""The access log: one JSON object for each request."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient

from service.http import request_log
from service.http.app import Application
from service.http.limits import SettingError
from service.http.request_log import RequestLog, open_request_log
from service.http.served import Served
from tests.support.serving import serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def log(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the normal bundle log its requests to a file, once the log is closed."""
    monkeypatch.setattr(request_log, "WRITTEN_AFTER_S", 60.0)
    served.requests = RequestLog(tmp_path / "access.jsonl")
    yield served.requests
    served.requests.close()


def lines(log: RequestLog) -> list[dict[str, Any]]:
    """Return what was logged, once the log is closed."""
    log.close()
    assert log.path is not None
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def test_each_request_is_an_object(log: RequestLog, client: TestClient, record: dict[str, Any]) -> None:
    about = {"x-request-id": "r1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answered = client.post("/predict", json=record, headers=about)
    client.post("/predict", json={"records": [record] * 3})
    client.get("/secret/path?token=1")

    one, many, nowhere = lines(log)

    assert one["status"] == 200
    assert (one["method"], one["route"], one["records"]) == ("POST", "/predict", 1)
    assert (one["request_id"], one["trace_id"], one["client"]) == ("r1", TRACE, "testclient")
    assert one["bytes"] == len(answered.content)
    assert 0 < one["seconds"] < 10
    assert abs((datetime.now(UTC) - datetime.fromisoformat(one["time"])).total_seconds()) < 60
    assert (many["records"], many["trace_id"]) == (3, None)
    assert (nowhere["route"], nowhere["status"], nowhere["records"]) == ("elsewhere", 404, 0)


def test_a_client_that_goes_away_is_logged(log: RequestLog, served: Served) -> None:
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> Any:
        raise ClientDisconnect

    asyncio.run(Application(served)(scope, receive, receive))  # type: ignore[arg-type]

    ((status, client),) = [(line["status"], line["client"]) for line in lines(log)]
    assert (status, client) == (499, None)


def test_a_log_that_is_moved_away_goes_on_in_a_new_file(
    log: RequestLog, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log.path is not None
    client.get("/healthz")
    log._write_all()
    log.path.rename(log.path.with_suffix(".1"))
    client.get("/livez")

    assert [line["route"] for line in lines(log)] == ["/livez"]


def test_lines_are_written_whole_so_that_those_of_several_workers_do_not_mix(
    log: RequestLog, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: list[bytes] = []
    monkeypatch.setattr(log, "_write", blocks.append)
    for number in range(60):
        client.request("X" * 5000, f"/{number}", headers={"x-request-id": "r" * 128})
    log.close()

    assert sum(block.count(b"\n") for block in blocks) == 60
    assert all(len(block) <= request_log.AT_ONCE and block.endswith(b"\n") for block in blocks)
    assert max(len(line) for block in blocks for line in block.splitlines()) < request_log.LONGEST


def test_what_cannot_be_kept_or_written_is_counted(
    log: RequestLog, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = threading.Lock()

    def stuck(block: bytes) -> None:
        with held:
            raise OSError("no space")

    monkeypatch.setattr(log, "_write", stuck)
    monkeypatch.setattr(request_log, "MOST_WAITING", 2)
    with held:
        for _ in range(20):
            client.get("/healthz")
    log.close()

    assert log.lost == 20
    assert "lines are lost: no space" in caplog.text
    (figure,) = log.collect()
    assert figure.samples[0].value == 20


def test_nothing_is_logged_by_default_and_what_cannot_be_a_log_is_refused(tmp_path: Path) -> None:
    assert open_request_log({}) is open_request_log({"SEXTANT_ACCESS_LOG": "off"}) is None
    with pytest.raises(SettingError, match=r"SEXTANT_ACCESS_LOG: off, stdout, or a file.*nowhere"):
        open_request_log({"SEXTANT_ACCESS_LOG": str(tmp_path / "nowhere" / "log")})


def test_a_pipe_that_is_full_for_a_moment_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    block = b"x" * 200_000
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.extend(iter(lambda: os.read(read, 50_000), b"")))
    reader.start()

    request_log._write_whole(write, block)
    os.close(write)
    reader.join()
    os.close(read)

    assert b"".join(taken) == block


@pytest.mark.slow
def test_a_served_process_logs_to_stdout(write_bundle: Any, record: dict[str, Any], tmp_path: Path) -> None:
    with serving(write_bundle(), tmp_path, SEXTANT_ACCESS_LOG="stdout", SEXTANT_DRAIN_SECONDS="0") as (process, place):
        for number in range(5):
            about = {"content-type": "application/json", "x-request-id": f"r{number}"}
            request = urllib.request.Request(f"http://{place}/predict", json.dumps(record).encode(), about)
            assert urllib.request.urlopen(request).headers["x-request-id"] == f"r{number}"
        process.terminate()
        process.wait(60)
    objects = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]

    assert [line["request_id"] for line in objects if line["route"] == "/predict"] == [f"r{n}" for n in range(5)]
    assert {line["client"] for line in objects} == {"127.0.0.1"}
