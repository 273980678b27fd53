"""The predictor of a process and the events that it takes in, once its bundle is loaded."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException

from service.history.events import Events
from service.history.log import EventLog
from service.history.places import open_store
from service.history.store import EventLogError, Store, StoreError
from service.http.limits import Limits, SettingError, read_limits
from service.http.metrics import Metrics, State
from service.http.patience import Patience
from service.plan.document import BundleError
from service.predict.predictor import Predictor, load_predictor

logger = logging.getLogger("bentoml.sextant")


class Served:
    """The predictor of this process, once it is loaded; `not_ready` says why requests should go elsewhere."""

    def __init__(self) -> None:
        self.predictor: Predictor | None = None
        self.events: Events | None = None
        self.remote: Events | None = None  # those of a store that is not read before each answer
        self.not_ready: str | None = "the model is being loaded"
        self.draining = False
        self.limits, self.patience = Limits(), Patience()
        self.metrics_folder: Path | None = None  # where the workers of a service share their figures
        self.past_folder: Path | None = None  # where they share events that nobody else is to keep
        self.headers: list[tuple[bytes, bytes]] = []  # of every response

    def load(self, folder: Path, place: str | Path | None = None) -> None:
        """Load the bundle, replay its golden records, and take in the events that a place keeps.

        In this order, as events may change the past of the golden records. Raises if the bundle or the events
        cannot be served at all.
        """
        predictor = load_predictor(folder)
        difference, tolerance = predictor.difference(), predictor.golden.tolerance
        plan = predictor.plan
        events = Events(plan, predictor.histories, self._store(place, plan.use_case) if plan.events else None)
        events.replay()
        if events.remote:
            events.follow()
            self.remote = events
        self.predictor, self.events, self.not_ready = predictor, events, None
        self.headers = [_header("x-sextant-coordinates", predictor.id), _header("x-sextant-model", predictor.name)]
        if not difference <= tolerance:
            self.not_ready = f"a golden score differs by {difference:.3g}; at most {tolerance:.3g} is allowed"
            logger.error("%s is not ready: %s", predictor.name, self.not_ready)

    def _store(self, place: str | Path | None, use_case: str) -> Store | None:
        if place is not None:
            return open_store(place, use_case, self.limits.events_seconds)
        return EventLog(self.past_folder, use_case, durable=False) if self.past_folder else None

    def start(self, folder: Path, place: str | Path | None = None) -> None:
        """Load the bundle; one that cannot be served leaves a process that is never ready and says why.

        Raising would be worse: BentoML starts a failed worker anew a few times, then holds the port open for ever
        and answers nobody, so that neither a probe nor a caller learns anything.
        """
        try:
            self.limits = read_limits(os.environ)
            self.load(folder, place)
        except Exception as error:
            explained = isinstance(error, BundleError | EventLogError | SettingError | StoreError)
            self.not_ready = str(error) if explained else "the model failed to load; see the log"
            logger.exception("the bundle in %s cannot be served", folder)

    def drain(self) -> None:
        """Be not ready, and let each answer close its connection, until the process ends."""
        self.draining, self.not_ready = True, "the service is shutting down"
        self.headers = [*self.headers, (b"connection", b"close")]

    def state(self) -> State:
        """Return what metrics say of this process at the moment."""
        predictor = self.predictor
        about = {"model": predictor.name, "coordinates": predictor.id} if predictor else {}
        return State(self.why_not_ready() is None, about)

    def why_not_ready(self) -> str | None:
        """Return why requests should go elsewhere; None: they may come here."""
        return self.not_ready or (self.events.not_ready() if self.events else None)

    @cached_property
    def metrics(self) -> Metrics:
        """The figures of this process, which begin when they are first asked for."""
        return Metrics(self.metrics_folder)

    def require_predictor(self) -> Predictor:
        """Return the predictor; raises HTTPException, 503, with the reason while there is none."""
        if self.predictor is None:
            raise HTTPException(503, self.not_ready)
        return self.predictor

    def require_events(self) -> Events:
        """Return what takes events; raises HTTPException, 503, with the reason while there is none."""
        if self.events is None:
            raise HTTPException(503, self.not_ready)
        return self.events


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode(), value.encode("latin-1", "replace")
