"""What is beyond a worker's capacity, through the real application, with real threads and connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from service.http.app import Application
from service.http.capacity import AHEAD, OverloadedError, Room
from service.http.limits import Limits
from service.http.served import Served
from service.predict.predictor import Prediction, Predictor
from tests.support.applications import unnamed

HEADERS = [(b"content-type", b"application/json")]
EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


class Slow(Predictor):
    """Answers lists once it may; `is_quick` answers single records as ever."""

    may, begun = Event(), Event()

    def predict(self, records: Sequence[Any], deadline: float | None = None) -> Prediction:
        if len(records) > 1:
            self.begun.set()
            assert self.may.wait(30)
        return super().predict(records, deadline)


@pytest.fixture
def slow(served: Served) -> Served:
    """Make lists of more than 100 records take as long as the test wants."""
    Slow.may, Slow.begun = Event(), Event()
    served.require_predictor().__class__ = Slow
    return served


Ask = Callable[..., Awaitable[tuple[int, dict[bytes, bytes], Any]]]


def asking(served: Served) -> Ask:
    """Return what asks the application; all of it happens in one event loop, as in a worker."""
    app = Application(served)

    async def ask(path: str, content: Any = None, **scope: Any) -> tuple[int, dict[bytes, bytes], Any]:
        sent, body = list[Any](), json.dumps(content).encode()

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        method = "GET" if content is None else "POST"
        await app({"type": "http", "method": method, "path": path, "headers": HEADERS, **scope}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])

    return ask


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_lists_beyond_the_bound_are_refused_at_once_while_records_probes_and_what_is_taken_are_answered(
    slow: Served, record: dict[str, Any]
) -> None:
    slow.limits = Limits(in_threads=6)
    ask, many = asking(slow), {"records": [record] * 101}

    async def load() -> None:
        taken = [asyncio.create_task(ask("/predict", many)) for _ in range(6)]
        await until(lambda: slow.work.count == 6)
        await until(Slow.begun.is_set)

        refused = [await ask("/predict", many) for _ in range(20)] + [
            await ask("/events", {"table": "flights", "rows": [EVENT]})
        ]
        quick = [await ask("/predict", record), await ask("/readyz"), await ask("/healthz")]
        assert not any(task.done() for task in taken)
        Slow.may.set()
        answered = await asyncio.gather(*taken)

        assert [status for status, *_ in refused] == [429] * 21
        assert refused[0][2] == {
            "error": "6 requests that take long are in work, and 6 may be, so no record was scored; send it again later"
        }
        assert "so no row was accepted" in refused[-1][2]["error"]
        assert {headers[b"retry-after"] for _, headers, _ in refused} == {b"1"}
        assert [status for status, *_ in quick] == [200] * 3
        assert [(status, len(content["scores"])) for status, _, content in answered] == [(200, 101)] * 6
        assert unnamed((await ask("/predict", record))[2]) == unnamed(quick[0][2])  # the event was not taken
        assert slow.work.count == 0

    asyncio.run(load())


def test_a_record_that_new_events_concern_does_not_wait_for_those_that_take_long(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    slow, other = Served(), Served()
    for served in (slow, other):
        served.load(write_bundle(), tmp_path / "log")
    Slow.may, Slow.begun = Event(), Event()
    slow.require_predictor().__class__ = Slow
    slow.limits = Limits(in_threads=4)
    ask, many = asking(slow), {"records": [record] * 101}

    async def load() -> None:
        before = await ask("/predict", record)
        taken = [asyncio.create_task(ask("/predict", many)) for _ in range(4)]
        await until(lambda: slow.work.count == 4)
        await until(Slow.begun.is_set)
        other.require_events().accept("flights", [EVENT])

        status, _, content = await ask("/predict", record)
        Slow.may.set()
        await asyncio.gather(*taken)

        assert status == 200
        assert content["score"] > before[2]["score"]

    asyncio.run(load())


def test_requests_beyond_the_bound_of_a_worker_are_refused_before_their_body_is_read(
    slow: Served, record: dict[str, Any]
) -> None:
    slow.limits = Limits(concurrent=3)
    ask, many = asking(slow), {"records": [record] * 101}

    async def load() -> None:
        taken = [asyncio.create_task(ask("/predict", many)) for _ in range(3)]
        await until(lambda: slow.work.count == 3)

        status, headers, content = await ask("/predict", record)
        probes = [await ask("/healthz"), await ask("/readyz"), await ask("/coordinates")]
        Slow.may.set()
        answered = await asyncio.gather(*taken)

        assert (status, headers[b"retry-after"]) == (429, b"1")
        assert content == {"error": "3 requests are in work; send it again later"}
        assert [status for status, *_ in probes] == [200] * 3
        assert [status for status, *_ in answered] == [200] * 3
        assert (await ask("/predict", record))[0] == 200

    asyncio.run(load())


def test_the_server_counts_those_that_wait_for_their_turn(served: Served, record: dict[str, Any]) -> None:
    served.limits = Limits(concurrent=3)
    ask = asking(served)

    async def load() -> list[int]:
        return [(await ask("/predict", record, **{AHEAD: ahead}))[0] for ahead in range(5)]

    assert asyncio.run(load()) == [200, 200, 200, 429, 429]
    assert served.work.count == 0


def test_a_request_that_fails_or_goes_away_is_in_work_no_more(served: Served, record: dict[str, Any]) -> None:
    app = Application(served)

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    asyncio.run(app({"type": "http", "method": "POST", "path": "/predict", "headers": HEADERS}, gone, send))

    assert served.work.count == 0


@pytest.mark.parametrize("reason", ["not ready", "out of time"])
def test_what_is_refused_for_now_says_when_to_come_again(served: Served, record: dict[str, Any], reason: str) -> None:
    served.limits = Limits(seconds=1e-9)
    ask = asking(served if reason == "out of time" else Served())

    status, headers, _ = asyncio.run(ask("/predict", {"records": [record] * 2}))

    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_threads_are_given_back_where_a_function_fails(served: Served) -> None:
    def fail() -> None:
        raise LookupError

    async def run() -> None:
        for _ in range(10):
            with pytest.raises(LookupError):
                await served.threads.run(1, fail)

    asyncio.run(run())


def test_what_has_been_scored_is_never_refused(served: Served) -> None:
    async def run() -> None:
        assert await served.threads.run(None, lambda: 7) == 7
        with pytest.raises(OverloadedError):
            await served.threads.run(0, lambda: 7)

    asyncio.run(run())


def test_few_threads_work_at_the_same_time(served: Served) -> None:
    working, most = set[Thread](), list[int]()
    may = Event()

    def work() -> None:
        working.add(current_thread())
        most.append(len(working))
        assert may.wait(30)
        working.discard(current_thread())

    async def run() -> None:
        calls = [asyncio.create_task(served.threads.run(32, work)) for _ in range(20)]
        await until(lambda: len(working) == 4)
        may.set()
        await asyncio.gather(*calls)

    asyncio.run(run())

    assert max(most) == 4
    assert len(most) == 20


def test_bodies_beyond_the_room_are_refused_and_one_always_fits() -> None:
    room = Room()

    with room.take(100, 50):
        with (
            pytest.raises(OverloadedError, match="bodies of 100 bytes are in work, and 120 may be"),
            room.take(21, 120),
        ):
            pass
        with room.take(20, 120):
            pass
    with room.take(120, 120):
        pass
