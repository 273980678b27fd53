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
STARTED = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""


def endpoints() -> list[Endpoint]:
    """Return the endpoints of the page and of the files that it is made of; all come from this service."""
    return [
        Endpoint("GET", "/docs", "a page to try all of this in a browser", _page, answers={"text/html": ["Text"]}),
        Endpoint("GET", f"/docs/{START}", "", _start, group=""),
        *(Endpoint("GET", f"/docs/{name}", "", partial(_file, name), group="") for name in TYPES),
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
