"""The HTTP application: one table of the endpoints of all protocols, and errors that say what to mend."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http import batch, invocations, kserve, native, page
from service.http.capacity import AHEAD
from service.http.endpoint import Endpoint, answer, document, refuse
from service.http.freshness import freshen
from service.http.limits import Limits
from service.http.metrics import ELSEWHERE
from service.http.openapi import openapi
from service.http.routes import Routes
from service.http.served import Served
from service.http.trace import Trace, begin
from service.http.version import HEADERS
from service.predict.predictor import Predictor
from service.records.reader import excerpt

logger = logging.getLogger("bentoml.sextant")

GONE = 499  # the status, as nginx counts it, of a request whose client did not wait
LATER, RETRY_AFTER = (429, 503), (b"retry-after", b"1")

PROTOCOLS = (native, batch, kserve, invocations)  # a protocol is a module with `endpoints(served)`


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints of all protocols over what is `served`, then probes and the index."""

    async def metrics(_: Request) -> Response:
        return served.metrics.page(served.state())

    async def readyz(_: Request) -> Response:
        reason = served.not_ready
        return answer({"ready": True}) if reason is None else refuse(503, reason)

    text = {"text/plain": ["Text"]}
    alive = document(lambda: {"alive": True})

    def index() -> dict[str, Any]:
        predictor = served.require_predictor()
        return {
            "use_case": predictor.plan.use_case,
            "task": predictor.plan.task,
            "model": predictor.name,
            "coordinates": predictor.id,
            "routes": {endpoint.title: endpoint.purpose for endpoint in placed(listed, predictor) if endpoint.group},
            "limits": served.limits.settings(),
            "example": predictor.example,
        }

    async def described(request: Request) -> Response:
        content = describe(served.require_predictor(), served.limits, listed)
        if served.split is not None:
            content = served.split.described(content)
        if served.access is not None:
            content = served.access.described(content, open_paths(listed))
        if prefix := request.scope.get("root_path"):
            content["servers"] = [{"url": prefix}]
        return await document(lambda: content)(request)

    listed = [
        *(endpoint for protocol in PROTOCOLS for endpoint in protocol.endpoints(served)),
        Endpoint("GET", "/healthz", "200 while the process is up", alive, open=True),
        Endpoint("GET", "/livez", "the same, by the name that BentoML gives it", alive, open=True),
        Endpoint("GET", "/readyz", "200 once the model is loaded and answers its golden records", readyz, open=True),
        Endpoint("GET", "/metrics", "requests by route, records and warnings, for Prometheus", metrics, answers=text),
        Endpoint("GET", "/openapi.json", "all of this in OpenAPI 3.1", described),
        *page.endpoints(),
        Endpoint("GET", "/", "this page", document(index)),
    ]
    return listed


def describe(predictor: Predictor, limits: Limits, listed: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document of endpoints over a predictor."""
    model = predictor.model
    return openapi(
        predictor.plan,
        placed(listed, predictor),
        limits,
        version=predictor.name.partition(":")[2],
        thresholds=model.thresholds,
        interval=model.interval,
        no_interval=model.no_interval,
        explained=model.is_explained,
        usual=model.usual,
        example=predictor.example,
    )


def placed(listed: Sequence[Endpoint], predictor: Predictor) -> list[Endpoint]:
    """Return endpoints with the paths that they have for a predictor, whose name and version may be parts of them."""
    name, _, version = predictor.name.rpartition(":")
    return [replace(endpoint, path=endpoint.path.format(name=name, version=version)) for endpoint in listed]


def open_paths(listed: Sequence[Endpoint]) -> set[str]:
    """Return the paths of endpoints that need no API key."""
    return {endpoint.path for endpoint in listed if endpoint.open}


class Application:
    """Answers requests by the endpoints over `served`; what is not HTTP, such as a start, goes to `others`.

    Its own table takes the place of a router and its middleware: they would take longer than most models.
    """

    def __init__(self, served: Served, others: ASGIApp | None = None) -> None:
        self.served = served
        self.endpoints = endpoints(served)
        self._others: ASGIApp = others or Starlette()
        self._table: dict[str, dict[str, Endpoint]] = {}
        for endpoint in self.endpoints:
            self._table.setdefault(endpoint.path, {}).update(dict.fromkeys(endpoint.methods, endpoint))
        self._routes = Routes(self._table)
        self._open_paths = open_paths(self.endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._others(scope, receive, send)
        begun, path = perf_counter(), scope["path"].removeprefix(scope.get("root_path", ""))
        trace = begin(scope["headers"])
        served, work = self.served, self.served.work
        route = path if path in self._table else self._routes.of(path)
        ahead = scope.get(AHEAD, work.count)  # a server may know of more, which wait for their turn
        work.count += 1
        scope[HEADERS] = served.headers  # of the version that answers: none takes its place before it has begun
        age: list[tuple[bytes, bytes]] = []
        try:
            response = served.access.admit(scope, path, self._open_paths) if served.access is not None else None
            if response is None:
                if served.remote is not None:
                    age = await freshen(served.remote, scope)
                    scope[HEADERS] = served.headers  # there may be another version by now
                endpoint = self._endpoint(path, route, scope["method"])
                if endpoint.takes and ahead >= served.limits.concurrent:
                    raise HTTPException(429, f"{ahead} requests are in work; send it again later")
                response = await endpoint.respond(Request(scope, receive))
        except ClientDisconnect:
            logger.info("%s %s: the client went away", scope["method"], path)
            return self._note(scope, route or ELSEWHERE, GONE, 0, perf_counter() - begun, trace)
        except HTTPException as error:
            response = refuse(error.status_code, error.detail)
            response.headers.update(error.headers or {})
        except Exception:
            response = _failed(scope["method"], path)
        finally:
            work.count -= 1
        headers = [*response.raw_headers, *scope[HEADERS], *age, *trace.headers()]
        if response.status_code in LATER:
            headers.append(RETRY_AFTER)
        if served.draining:
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await (send(start) if served.access is None else served.access.send(start, scope, send))
        await send({"type": "http.response.body", "body": response.body})
        self._note(scope, route or ELSEWHERE, response.status_code, len(response.body), perf_counter() - begun, trace)

    def _note(self, scope: Scope, route: str, status: int, size: int, seconds: float, trace: Trace) -> None:
        """Count a request that is over, and log it and its predictions where that is wanted."""
        self.served.note(route, status, seconds, trace)
        if self.served.requests is not None:
            self.served.requests.add(scope, route, status, size, seconds, trace)

    def _endpoint(self, path: str, route: str | None, method: str) -> Endpoint:
        """Return the endpoint that a request asks; raises HTTPException, 404 or 405, where there is none."""
        by_method = None if route is None else self._table[route]
        if by_method is None:
            raise HTTPException(404, f"there is no {excerpt(path)}; the routes are listed at /")
        if method not in by_method:
            allowed = ", ".join(by_method)
            raise HTTPException(405, f"{excerpt(path)} takes {allowed}, and not {excerpt(method)}", {"allow": allowed})
        return by_method[method]


def _failed(method: str, path: str) -> Response:
    """Log the exception that is being handled; return an answer whose id leads to it."""
    error_id = token_hex(8)
    logger.exception("%s %s failed, error id %s", method, path, error_id)
    return answer({"error": "the service failed on this request; its log says why", "error_id": error_id}, 500)
