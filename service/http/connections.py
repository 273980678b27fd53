"""Connections: requests are counted as they come, and clients that do not send theirs are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import uvicorn.config
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.capacity import AHEAD, Work
from service.http.limits import Limits

LOOK_AFTER_S = 1.0


class Connection(HttpToolsProtocol):
    """A connection that is known by `open`, and whose requests are counted from when they have come.

    The application alone would not see those that wait for their turn, for it answers most in one go.
    """

    open: ClassVar[set[Connection]] = set()
    in_work: ClassVar[Work] = Work()  # of all connections

    def connection_made(self, transport: Any) -> None:
        """Begin, as uvicorn does."""
        super().connection_made(transport)
        self.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, as uvicorn does."""
        super().connection_lost(exc)
        self.open.discard(self)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer what a client has asked that sends no more, and may still listen; then end the connection."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.scope[AHEAD] = self.in_work.count
        self.in_work.count += 1
        super()._start_asgi_task(cycle, partial(_answer, app, self.in_work))

    @property
    def waits(self) -> bool:
        """Tell if the service waits for the client, beyond keeping its connection, which uvicorn ends in time.

        It has sent nothing yet, or a part of a request's headers, or does not take what it is answered.
        """
        idle = self.timeout_keep_alive_task is not None and not self.transport.is_closing()
        return (self.cycle is None or self.cycle.response_started) and not idle


async def _answer(app: ASGIApp, in_work: Work, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await app(scope, receive, send)
    finally:
        in_work.count -= 1


class Watch:
    """Drops clients that have been waited for too long, by one look at all connections now and then."""

    def __init__(self) -> None:
        self._since: dict[Connection, tuple[Any, float]] = {}  # the last request of each that waits, and since when

    def look(self, connections: Iterable[Connection], now: float, seconds: float) -> None:
        """Drop connections that have waited for the seconds, without a request since."""
        since = {}
        for connection in connections:
            if connection.waits:
                cycle, begun = self._since.get(connection, (connection.cycle, now))
                since[connection] = connection.cycle, begun if cycle is connection.cycle else now
        self._since = since
        for connection, (_, begun) in since.items():
            if now - begun >= seconds:
                connection.transport.abort()

    def begin(self, limits: Limits) -> None:
        """Look every second, or more often where clients are waited for shorter; called in the event loop."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            self.look(Connection.open, loop.time(), limits.seconds)
            loop.call_later(min(LOOK_AFTER_S, limits.seconds), look)

        look()


def know_connections() -> None:
    """Let the server that is about to start in this process make connections of this kind."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{Connection.__module__}:{Connection.__qualname__}"
