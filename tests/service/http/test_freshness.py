from __future__ import annotations

import asyncio
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.freshness import catch_up
from service.http.served import Served

EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


class Heard:
    """Events that are read slowly, up to what had been accepted when the reading began."""

    def __init__(self) -> None:
        self.accepted = self.read = self.readings = 0
        self.refreshing: Any = None
        self.begun = Event()

    def stale(self) -> bool:
        return self.read < self.accepted

    def refresh(self) -> None:
        self.readings += 1
        accepted = self.accepted
        self.begun.set()
        time.sleep(0.02)
        self.read = accepted


def test_requests_that_come_together_wait_for_the_same_reading() -> None:
    heard: Any = Heard()
    heard.accepted = 1

    async def ask() -> None:
        await asyncio.gather(*(catch_up(heard) for _ in range(100)))

    asyncio.run(ask())

    assert (heard.read, heard.readings) == (1, 1)


def test_a_reading_that_began_before_an_event_was_accepted_is_not_enough() -> None:
    heard: Any = Heard()
    heard.accepted = 1

    async def ask() -> None:
        first = asyncio.ensure_future(catch_up(heard))
        await asyncio.to_thread(heard.begun.wait)
        heard.accepted = 2
        await asyncio.gather(*(catch_up(heard) for _ in range(100)))
        assert heard.read == 2
        await first

    asyncio.run(ask())

    assert heard.readings == 2


def test_a_client_that_goes_away_ends_the_reading_for_nobody_else() -> None:
    heard: Any = Heard()
    heard.accepted = 1

    async def ask() -> None:
        gone, stays = (asyncio.ensure_future(catch_up(heard)) for _ in range(2))
        await asyncio.to_thread(heard.begun.wait)
        gone.cancel()
        await stays
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(ask())

    assert (heard.read, heard.readings) == (1, 1)


def test_what_another_process_cannot_take_in_is_said_with_each_answer_until_it_is_corrected(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    served = Served()
    served.load(write_bundle(), tmp_path / "log")
    client, log = TestClient(Application(served)), tmp_path / "log" / "flight_delays.events.jsonl"
    client.post("/events", json={"table": "flights", "rows": [EVENT]})
    score, sound = client.post("/predict", json=record).json()["score"], log.read_bytes()

    log.write_bytes(sound + b'{"table": "flights", "rows": [{"id": "f9", "origin": 3}]}\n')
    answered = client.post("/predict", json=record).json()
    ready, accepted = client.get("/readyz"), client.post("/events", json={"table": "flights", "rows": [EVENT]})

    assert answered["score"] == score
    assert "the history may lack events" in answered["warnings"][0]
    assert "flight_delays.events.jsonl, line 2: " in answered["warnings"][0]
    assert (ready.status_code, accepted.status_code) == (503, 503)
    assert "line 2" in ready.json()["error"]
    assert accepted.json()["error"].startswith("no row was accepted: ")
    log.write_bytes(sound)
    answered = client.post("/predict", json=record).json()
    assert (answered["score"], answered["warnings"]) == (score, [])
    assert client.get("/readyz").status_code == 200


def test_a_full_disk_refuses_events_and_answers_go_on(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    served = Served()
    served.load(write_bundle(), tmp_path / "log")
    client = TestClient(Application(served))
    score = client.post("/predict", json=record).json()["score"]

    monkeypatch.setattr("os.pwrite", full)
    refused = client.post("/events", json={"table": "flights", "rows": [EVENT]})
    monkeypatch.undo()

    assert (refused.status_code, "No space left on device" in refused.json()["error"]) == (503, True)
    assert client.post("/predict", json=record).json()["score"] == score
    assert client.post("/events", json={"table": "flights", "rows": [EVENT]}).status_code == 200
