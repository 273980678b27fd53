"""Freshness: the events that others have accepted are taken in before an answer, or the answer says how old it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from anyio import to_thread
from starlette.exceptions import HTTPException

from service.history.events import Events
from service.records.reader import excerpt

AGE, MOST = b"x-sextant-events-age", b"x-sextant-events-max-age"


async def catch_up(events: Events, still: Callable[[], bool] | None = None) -> None:
    """Take in what others have accepted until now; requests that come together wait for the same reading of it.

    One that is under way may have begun too early: then, if something is `still` to be read, for the next one.
    """
    joined = _under_way(events) is not None
    await _refresh(events)
    if joined and (still or events.stale)():
        await _refresh(events)


async def _refresh(events: Events) -> None:
    task = _under_way(events)
    if task is None:
        task = events.refreshing = asyncio.ensure_future(to_thread.run_sync(events.refresh))
    await asyncio.shield(task)  # a client that goes away ends it for nobody else


def _under_way(events: Events) -> asyncio.Future[None] | None:
    task = events.refreshing
    return None if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop() else task


async def freshen(events: Events, scope: Any) -> list[tuple[bytes, bytes]]:
    """Return the header that says how old the history is, after reading what is new if the request cannot do without.

    Raises HTTPException, 503, where that cannot be read, and 400 for a demand that is no number.
    """
    most = next((value for name, value in scope["headers"] if name == MOST), None)
    if most is not None and events.age() > _seconds(most):
        begun = monotonic()
        await catch_up(events, lambda: events.age() > monotonic() - begun)
        if events.age() > monotonic() - begun:
            raise HTTPException(503, f"the history cannot be read now: {events.behind() or 'the database is slow'}")
    age = events.age()
    return [] if age == float("inf") else [(AGE, b"%.3f" % age)]


def _seconds(text: bytes) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise HTTPException(
            400, f"{MOST.decode()} must be seconds, 0 or more; given: {excerpt(text.decode('latin-1'))}"
        )
    return seconds
