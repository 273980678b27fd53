"""Access: who may ask a service, and from which pages of the web; without settings, all may, and no page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from service.http.endpoint import refuse
from service.http.freshness import AGE, MOST
from service.http.keys import Keys, read_keys
from service.http.limits import SettingError, read_flag

ORIGINS, OPEN_METRICS = "SEXTANT_CORS_ORIGINS", "SEXTANT_OPEN_METRICS"
ASKED_WITH = ["authorization", "x-api-key", "x-request-id", "traceparent", "tracestate", MOST.decode()]
ANSWERED_WITH = ["x-sextant-model", "x-sextant-coordinates", AGE.decode(), "x-request-id", "retry-after"]
ASK = "this service takes an API key, as `Authorization: Bearer <key>` or `x-api-key: <key>`"
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
REFUSED = {
    "description": "There is no API key with it, or none of those that may ask",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": {"error": ASK}}},
}


class Access:
    """Lets requests in, and tells browsers whose they may be."""

    def __init__(self, keys: Keys | None, origins: Collection[str], open_metrics: bool) -> None:
        self.keys = keys
        self.open_metrics = open_metrics
        self._origins: CORSMiddleware | None = None
        if origins:  # no credentials: a browser would send cookies, which no service here knows
            self._origins = CORSMiddleware(
                _never,
                allow_origins=origins,
                allow_methods=["GET", "HEAD", "POST"],
                allow_headers=ASKED_WITH,
                expose_headers=ANSWERED_WITH,
            )

    def admit(self, scope: Scope, path: str, open_paths: Collection[str]) -> Response | None:
        """Let a request in; raises HTTPException, 401, where it needs a key and has none.

        Returns the answer to a browser that only asks if a page may ask, and None otherwise.
        """
        if (answered := self._preflight(scope)) is not None:
            return answered
        if self.keys is None or path in open_paths or (self.open_metrics and path == "/metrics"):
            return None
        if not self.keys.allow(scope["headers"]):
            raise HTTPException(401, ASK, {"www-authenticate": 'Bearer realm="sextant"'})
        return None

    def _preflight(self, scope: Scope) -> Response | None:
        if self._origins is None or scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if not {"origin", "access-control-request-method"} <= set(headers.keys()):
            return None
        answered = self._origins.preflight_response(headers)
        if answered.status_code == 200:
            return answered
        refused = refuse(403, bytes(answered.body).decode())
        refused.raw_headers += [(name, value) for name, value in answered.raw_headers if name == b"vary"]
        return refused

    async def send(self, message: Message, scope: Scope, send: Send) -> None:
        """Begin a response, with what a browser wants to know."""
        if self._origins is None:
            return await send(message)
        await self._origins.send(message, send, Headers(scope=scope))

    def described(self, document: dict[str, Any], open_paths: Collection[str]) -> dict[str, Any]:
        """Return an OpenAPI document with the keys that its operations take."""
        if self.keys is None:
            return document
        free = {*open_paths, "/metrics"} if self.open_metrics else open_paths
        paths = {
            path: operations
            if path in free
            else {method: _secured(operation) for method, operation in operations.items()}
            for path, operations in document["paths"].items()
        }
        return {**document, "paths": paths, "components": {**document["components"], "securitySchemes": SCHEMES}}


def read_access(environment: Mapping[str, str]) -> Access | None:
    """Return the access that the environment sets; None: nothing is set. Raises SettingError."""
    keys, origins = read_keys(environment), environment.get(ORIGINS, "").replace(",", " ").split()
    if wrong := [origin for origin in origins if origin != "*" and not _is_origin(origin)]:
        raise SettingError(f"{ORIGINS} takes `*`, or origins such as https://example.org:8080; given: {wrong}")
    open_metrics = read_flag(environment, OPEN_METRICS)
    return Access(keys, origins, open_metrics) if keys is not None or origins else None


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"


def _secured(operation: dict[str, Any]) -> dict[str, Any]:
    security: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
    return {**operation, "security": security, "responses": {**operation["responses"], "401": REFUSED}}


async def _never(*_: Any) -> None:
    """Stand for an application that is never asked: the middleware serves for its headers."""
