"""The HTTP application: the endpoints of all protocols, and errors that say what to mend."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http import native
from service.http.endpoint import Endpoint, answer, document, refuse
from service.http.served import Served

logger = logging.getLogger("bentoml.sextant")

PROTOCOLS = (native,)  # a protocol is a module with `endpoints(served)`


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints of all protocols over what is `served`, then probes and the index."""

    async def readyz(_: Request) -> Response:
        return answer({"ready": True}) if served.not_ready is None else refuse(503, served.not_ready)

    def index() -> dict[str, Any]:
        predictor = served.require_predictor()
        return {
            "use_case": predictor.plan.use_case,
            "task": predictor.plan.task,
            "model": predictor.name,
            "coordinates": predictor.id,
            "routes": {endpoint.title: endpoint.purpose for endpoint in listed},
            "example": predictor.example,
        }

    listed = [
        *(endpoint for protocol in PROTOCOLS for endpoint in protocol.endpoints(served)),
        Endpoint("GET", "/healthz", "200 while the process is up", document(lambda: {"alive": True})),
        Endpoint("GET", "/readyz", "200 once the model is loaded and answers its golden records", readyz),
        Endpoint("GET", "/", "this page", document(index)),
    ]
    return listed


class Application:
    """The routes over `served`; its headers on every response, and no exception passes it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.endpoints = endpoints(served)
        self._app: ASGIApp = Starlette(
            routes=[endpoint.route() for endpoint in self.endpoints],
            exception_handlers={HTTPException: self._http_error, Exception: _server_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        predictor = self.served.predictor
        if scope["type"] != "http" or predictor is None:
            return await self._app(scope, receive, send)
        headers = [(b"x-sextant-coordinates", _header(predictor.id)), (b"x-sextant-model", _header(predictor.name))]

        async def send_stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self._app(scope, receive, send_stamped)
        except ClientDisconnect:
            logger.info("%s %s: the client went away", scope["method"], scope["path"])
        except Exception:  # Starlette has answered 500; what is left is to say why
            logger.exception("%s %s failed", scope["method"], scope["path"])

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = error.detail
        if error.status_code == HTTPStatus.NOT_FOUND:
            routes = ", ".join(endpoint.title for endpoint in self.endpoints)
            message = f"there is no {request.url.path}; the routes are {routes}"
        response = refuse(error.status_code, message)
        response.headers.update(error.headers or {})
        return response


def _header(value: str) -> bytes:
    return value.encode("latin-1", "replace")


async def _server_error(_: Request, __: Exception) -> Response:
    return refuse(500, "the service failed on this request; its log says why")
