"""Connections: requests are counted as they come, and clients that do not send theirs are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import uvicorn.config
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.capacity import AHEAD, Work
from service.http.limits import Limits

LOOK_AFTER_S = 1.0
MOST_AHEAD = 64  # requests of one connection that wait for the answers before theirs
PART_BYTES = 16_384  # of what it sends: more are gone through in parts, so that few requests are beyond the bound
MOST_HEAD_BYTES = 65_536  # that a request has beside its body: its line, headers, and what stands between chunks
TOO_LONG = b'{"error":"the headers are longer than %d bytes"}' % MOST_HEAD_BYTES
REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(TOO_LONG)
) + TOO_LONG


class Flow(FlowControl):
    """The flow of a connection, of which nothing more is read while it is `held`."""

    held = False

    def resume_reading(self) -> None:
        """Read on, unless it is held."""
        if not self.held:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """A connection that is known by `open`, and whose requests are counted from when they have come.

    The application alone would not see those that wait for their turn, for it answers most in one go.
    """

    open: ClassVar[set[Connection]] = set()
    in_work: ClassVar[Work] = Work()  # of all connections
    answered: Any = None  # the request that is answered, or was last; uvicorn's `cycle` is that which came last
    flow: Flow
    _unread, _head_bytes = b"", 0

    def connection_made(self, transport: Any) -> None:
        """Begin, as uvicorn does."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, as uvicorn does, and with it the request that is answered, be it the last or not."""
        if self.answered is not None and not self.answered.response_complete:
            self.answered.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)
        self.open.discard(self)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends, and no more than a part of many requests that it sends before it is answered."""
        if len(data) <= PART_BYTES and not self._unread:
            self._read(data)
        else:
            self._unread += data
            self._read_on()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, as uvicorn does."""
        self._head_bytes = 0
        super().on_body(body)

    def _read(self, part: bytes) -> None:
        """Go through a part of what was sent; refuse headers without an end, which would be gathered."""
        cycle, self._head_bytes = self.cycle, self._head_bytes + len(part)
        self._parse(part)
        if self.cycle is not cycle:
            self._head_bytes = 0
        elif self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self.answered is None or self.answered.response_complete:
                self.transport.write(REFUSAL)
            self.transport.close()

    def on_response_complete(self) -> None:
        """Go on to the next request, as uvicorn does."""
        super().on_response_complete()
        if self._unread:
            self._read_on()

    def _read_on(self) -> None:
        """Go through what is unread, as far as there is room for its requests, and read more once there is none."""
        self.flow.held, unread, place = True, self._unread, 0
        while place < len(unread) and len(self.pipeline) < MOST_AHEAD:
            self._read(unread[place : place + PART_BYTES])
            place += PART_BYTES
            if self.transport.is_closing():
                return
        self._unread = unread[place:]
        self.flow.held = bool(self._unread)
        if self.flow.held:
            self.flow.pause_reading()
        elif not self.pipeline:
            self.flow.resume_reading()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer what a client has asked that sends no more, and may still listen; then end the connection."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def _should_upgrade(self) -> bool:
        """Let uvicorn leave requests alone that would go on in another protocol: they are parsed again."""
        return True

    def _parse(self, part: bytes) -> None:
        """Parse a part; a request that would go on in another protocol stays one of HTTP, of which a body is read.

        Java's client, for one, would go on in HTTP/2 whatever it asks, and knows that it may not be heard.
        """
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(part)
        except HttpParserUpgrade as upgrade:
            if (head := self._head()) is None:
                return self.send_400_response("Invalid HTTP request received.")
            self.parser = HttpRequestParser(self)
            self._parse(head + part[upgrade.args[0] :])
        except HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def _head(self) -> bytes | None:
        """Return the head of the request without the wish for another protocol; None: it has none, as CONNECT."""
        kept = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        if len(kept) == len(self.headers):
            return None
        line = f" HTTP/{self.parser.get_http_version()}\r\n".encode()
        return b"".join([self.parser.get_method(), b" ", self.url, line, *kept, b"\r\n"])

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.answered, cycle.scope[AHEAD] = cycle, self.in_work.count
        self.in_work.count += 1
        super()._start_asgi_task(cycle, partial(_answer, app, self.in_work))

    @property
    def waits(self) -> bool:
        """Tell if the service waits for the client, beyond keeping its connection, which uvicorn ends in time.

        It has sent nothing yet, or a part of a request's headers, or does not take what it is answered.
        """
        idle = self.timeout_keep_alive_task is not None and not self.transport.is_closing()
        started = self.answered is None or self.answered.response_started or self.flow.write_paused
        return started and not idle


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
                answered, begun = self._since.get(connection, (connection.answered, now))
                since[connection] = connection.answered, begun if answered is connection.answered else now
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
