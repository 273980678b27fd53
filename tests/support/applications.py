"""Applications that are served for a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from resources.bentos import free_port


@contextmanager
def started(application: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port for the block; yield its URL."""
    server = uvicorn.Server(uvicorn.Config(application, port=(port := free_port()), log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def unnamed(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the names of its predictions, which no other answer has."""
    return {name: value for name, value in answer.items() if name not in ("id", "ids")}
