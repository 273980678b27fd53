"""The page on which a service is tried: Swagger UI, as BentoML brings it along, over the OpenAPI document."""

from __future__ import annotations

from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.http.endpoint import Endpoint

SCRIPT, STYLE, START = "swagger-ui-bundle.js", "swagger-ui.css", "start.js"
TYPES = {SCRIPT: "text/javascript", STYLE: "text/css"}
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Try the service</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/{STYLE}">
</head>
<body>
<main id="page"><noscript>This page needs JavaScript; the document that it shows is openapi.json.</noscript></main>
<script src="docs/{SCRIPT}"></script>
<script src="docs/{START}"></script>
</body>
</html>
"""
# tryItOutEnabled: the reason to come here; validatorUrl: no other host is asked
STARTED = """const show = key => SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: request => {
    if (key) request.headers["x-api-key"] ??= key;
    return request;
  },
});
fetch("openapi.json").then(answer => show(answer.status === 401 && prompt("The API key of this service:")));
"""


def endpoints() -> list[Endpoint]:
    """Return the endpoints of the page and of the files that it is made of; all come from this service.

    They need no API key, which a browser could not send: they tell nothing of the model, and the page asks for one.
    """
    text, purpose = {"text/html": ["Text"]}, "a page to try all of this in a browser"
    return [
        Endpoint("GET", "/docs", purpose, _page, answers=text, open=True),
        Endpoint("GET", f"/docs/{START}", "", _start, group="", open=True),
        *(Endpoint("GET", f"/docs/{name}", "", partial(_file, name), group="", open=True) for name in TYPES),
    ]


async def _page(_: Request) -> Response:
    return Response(PAGE, media_type="text/html")


async def _start(_: Request) -> Response:
    return Response(STARTED, media_type="text/javascript")


async def _file(name: str, _: Request) -> Response:
    content = await to_thread.run_sync(_content, name)
    return Response(content, media_type=TYPES[name], headers={"cache-control": "max-age=86400"})


@cache
def _content(name: str) -> bytes:
    """Return a file of Swagger UI; raises HTTPException, 404, where BentoML brings none."""
    found = find_spec("bentoml")
    folders = found.submodule_search_locations if found else None
    file = Path(folders[0]) / "_internal" / "server" / "static_content" / name if folders else None
    if file is None or not file.is_file():
        raise HTTPException(404, f"{name} is not there: the installed BentoML has no Swagger UI; use /openapi.json")
    return file.read_bytes()
