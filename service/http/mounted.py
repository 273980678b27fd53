"""A bundle inside of somebody else's application: `app.mount("/flights", mounted)`, with its start and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.http.app import Application
from service.http.served import Served


class Mounted(Application):
    """The service of the bundle in a folder, as an ASGI application without a server of its own.

    Starlette and FastAPI begin and end only their own lifespan: give them this one, as `FastAPI(lifespan=…)`, or enter
    it in theirs. `events` is the folder where accepted events are kept. Limits are those of the environment.
    """

    def __init__(self, bundle: Path | str, events: Path | str | None = None) -> None:
        served = Served()
        served.not_ready = "it was not started: let the application that it is mounted in begin its lifespan"
        super().__init__(served)
        self._bundle, self._events = Path(bundle), None if events is None else Path(events)

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """Load the bundle, and be not ready any more at the end; one that cannot be served says why at /readyz."""
        self.served.start(self._bundle, self._events)
        try:
            yield
        finally:
            self.served.drain()
            self.served.close()
