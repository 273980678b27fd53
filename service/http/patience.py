"""Patience: how long a client is waited for, by one look at all clients now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_AFTER_S = 0.5


class Patience:
    """Waits for what clients send; a timer for each, as `asyncio.timeout` has one, would take a tenth of a request."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Task[Any], float] = {}  # when each task that waits will have waited too long
        self._looks = False

    async def wait(self, sent: Awaitable[T], seconds: float) -> T:
        """Return what is sent; raises TimeoutError if it does not come within the seconds, or half a second more."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._until[task] = until = loop.time() + seconds
        if not self._looks:
            self._looks = True
            loop.call_later(min(seconds, LOOK_AFTER_S), self._look, loop)
        try:
            return await sent
        except asyncio.CancelledError:
            if loop.time() < until or task.uncancel():
                raise  # cancelled by somebody else
            raise TimeoutError from None
        finally:
            del self._until[task]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until in self._until.items():
            if now >= until:
                task.cancel()
        self._looks = bool(self._until)
        if self._looks:
            loop.call_later(LOOK_AFTER_S, self._look, loop)
