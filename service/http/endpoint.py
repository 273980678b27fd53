"""A route with its purpose, and responses in JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response


def _as_text(value: Any) -> str:
    """Return a warning, which is a text that knows its kind, as one that msgspec knows."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not JSON")


encode = msgspec.json.Encoder(enc_hook=_as_text).encode

Content = Mapping[str, Sequence[str]]  # of each media type the names of its schemas in the OpenAPI document


def as_json(*schemas: str) -> Content:
    """Return the content of JSON that is of one of some schemas."""
    return {"application/json": schemas}


@dataclass(frozen=True)
class Endpoint:
    """A route of a protocol; `purpose` is its line in the index, the rest is described in OpenAPI.

    There it stands with the others of its `group`; one of no group is told nowhere. The parameters of its `query` are
    by name, each as OpenAPI has one. One that is `open`, as probes are, needs no API key.
    """

    method: str
    path: str
    purpose: str
    respond: Callable[[Request], Awaitable[Response]]
    takes: Content = field(default_factory=dict)
    answers: Content = field(default_factory=lambda: as_json("Document"))
    group: str = "about the service"
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    open: bool = False

    @property
    def title(self) -> str:
        """The method and the path, as in a request line."""
        return f"{self.method} {self.path}"

    @property
    def methods(self) -> list[str]:
        """The methods that it answers: HEAD, too, where it answers GET."""
        return ["GET", "HEAD"] if self.method == "GET" else [self.method]


def document(content: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
    """Return a responder with the `content` of the moment, indented, for people too."""

    async def respond(_: Request) -> Response:
        return Json(msgspec.json.format(encode(content())), 200)

    return respond


class Json(Response):
    """A response whose body is JSON already; its headers are written out, which takes a tenth of Starlette's time."""

    def __init__(self, body: bytes, status: int) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


def answer(content: Any, status: int = 200) -> Response:
    """Return a response in JSON."""
    return Json(encode(content), status)


def refuse(status: int, message: str) -> Response:
    """Return an error in JSON."""
    return answer({"error": message}, status)
