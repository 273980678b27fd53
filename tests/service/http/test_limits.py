from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.limits import Limits, SettingError, read_limits
from service.http.served import Served
from service.predict.predictor import PART

EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


def test_limits_are_settings_of_the_environment_and_what_is_not_set_is_as_usual() -> None:
    assert read_limits({}) == Limits() == read_limits({"SEXTANT_MAX_RECORDS": ""})
    limits = read_limits({"SEXTANT_MAX_RECORDS": "20", "SEXTANT_MAX_SECONDS": "0.5"})
    assert (limits.records, limits.seconds, limits.body_bytes) == (20, 0.5, 8_000_000)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_setting_that_is_no_limit_is_named(value: str) -> None:
    with pytest.raises(SettingError, match=r"SEXTANT_MAX_RECORDS(.|\n)*given: {'SEXTANT_MAX_RECORDS': '"):
        read_limits({"SEXTANT_MAX_RECORDS": value})


def test_a_process_with_such_a_setting_is_not_ready_and_says_why(
    write_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_MAX_SECONDS", "soon")
    served = Served()

    served.start(write_bundle())

    assert "SEXTANT_MAX_SECONDS" in TestClient(Application(served)).get("/readyz").json()["error"]


def test_the_limits_are_told_and_hold(served: Served, record: dict[str, Any]) -> None:
    served.limits = Limits(body_bytes=1000, records=2)
    client = TestClient(Application(served))

    many, events = {"records": [record] * 3}, {"table": "flights", "rows": [EVENT] * 3}
    told = client.get("/").json()["limits"]

    assert told == {
        "SEXTANT_MAX_BODY_BYTES": 1000,
        "SEXTANT_MAX_RECORDS": 2,
        "SEXTANT_MAX_BATCH_BYTES": 256_000_000,
        "SEXTANT_MAX_BATCH_ROWS": 1_000_000,
        "SEXTANT_MAX_SECONDS": 30.0,
        "SEXTANT_MAX_CONCURRENT": 256,
        "SEXTANT_MAX_IN_THREADS": 32,
        "SEXTANT_DRAIN_SECONDS": 6.0,
        "SEXTANT_EVENTS_SECONDS": 10.0,
    }
    assert [client.post("/predict", json=many).status_code, client.post("/events", json=events).status_code] == [
        413
    ] * 2
    assert client.post("/predict", json={"records": [{**record, "carrier": "U" * 1000}]}).status_code == 413


def test_what_takes_too_long_is_refused_and_not_done(served: Served, record: dict[str, Any]) -> None:
    client = TestClient(Application(served))
    before = client.post("/predict", json=record).json()["score"]
    served.limits = Limits(seconds=1e-9)

    many = client.post("/predict", json={"records": [record] * (PART + 1)})
    events = client.post("/events", json={"table": "flights", "rows": [EVENT]})

    for response, outcome in [(many, "no record was scored"), (events, "no row was accepted")]:
        assert response.status_code == 503
        assert response.json() == {"error": f"it would take more than 1e-09 s, so {outcome}; send fewer at a time"}
    served.limits = Limits()
    assert client.post("/predict", json=record).json()["score"] == before


def test_a_body_that_does_not_come_is_refused(served: Served, record: dict[str, Any]) -> None:
    served.limits = Limits(seconds=0.01)
    head = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"content-type", b"application/json")]}
    messages, sent = [{"type": "http.request", "body": b"{", "more_body": True}], list[Any]()

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Application(served)(head, receive, send))

    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"]) == {"error": "the body did not come within 0.01 s"}
