"""Capacity: what is more than a process can answer soon is refused at once, so that what is taken keeps its latency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

THREADS = 4  # that work at the same time; while one holds the interpreter, quick requests wait for up to 5 ms
AHEAD = "sextant.ahead"  # in the scope of a request: those in work when it came, where the server has counted


class OverloadedError(RuntimeError):
    """A request beyond the capacity; nothing of it was done. The message says which bound it would exceed."""


class Work:
    """The number of requests in work, those that wait for their turn among them."""

    count = 0


class Room:
    """Memory for the bodies of tables and tensors that are in work at the same time."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def take(self, content: int, most: int) -> Iterator[None]:
        """Hold so many bytes for the block; raises OverloadedError where all would be more than `most`."""
        if self._taken and self._taken + content > most:
            raise OverloadedError(f"bodies of {self._taken} bytes are in work, and {most} may be")
        self._taken += content
        try:
            yield
        finally:
            self._taken -= content


class Threads:
    """Runs functions that take long in a few threads, and refuses more calls than a bound at a time."""

    def __init__(self) -> None:
        self._limiter, self._calls = CapacityLimiter(THREADS), 0

    async def run(self, most: int | None, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Return what the function returns; raises OverloadedError if as many as `most` calls run or wait.

        None: it is never refused, as what belongs to a request that has been scored.
        """
        if most is not None and self._calls >= most:
            raise OverloadedError(f"{self._calls} requests that take long are in work, and {most} may be")
        self._calls += 1
        try:
            return await to_thread.run_sync(function, *arguments, limiter=self._limiter)
        finally:
            self._calls -= 1
