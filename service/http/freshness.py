"""Freshness: how old the history of an answer is, where it comes from a database, and how a client has it new."""

from __future__ import annotations

from time import monotonic
from typing import Any

from anyio import to_thread
from starlette.exceptions import HTTPException

from service.history.events import Events
from service.records.reader import excerpt

AGE, MOST = b"x-sextant-events-age", b"x-sextant-events-max-age"


async def freshen(events: Events, scope: Any) -> list[tuple[bytes, bytes]]:
    """Return the header that says how old the history is, after reading what is new if the request cannot do without.

    Raises HTTPException, 503, where that cannot be read, and 400 for a demand that is no number.
    """
    most = next((value for name, value in scope["headers"] if name == MOST), None)
    if most is not None and events.age() > _seconds(most):
        begun = monotonic()
        await to_thread.run_sync(events.refresh)
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
