"""A route with its purpose, and responses in JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Endpoint:
    """A route of a protocol; `purpose` is its line in the index."""

    method: str
    path: str
    purpose: str
    respond: Callable[[Request], Awaitable[Response]]

    @property
    def title(self) -> str:
        """The method and the path, as in a request line."""
        return f"{self.method} {self.path}"

    def route(self) -> Route:
        """Return the route for Starlette."""
        return Route(self.path, self.respond, methods=[self.method])


def document(content: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
    """Return a responder with the `content` of the moment, indented, for people too."""

    async def respond(_: Request) -> Response:
        return Response(msgspec.json.format(encode(content())), media_type="application/json")

    return respond


def answer(content: Any, status: int = 200) -> Response:
    """Return a response in JSON."""
    return Response(encode(content), status, media_type="application/json")


def refuse(status: int, message: str) -> Response:
    """Return an error in JSON."""
    return answer({"error": message}, status)
