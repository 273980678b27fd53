"""The predictor of a process and the events that it takes in, once its bundle is loaded."""

from __future__ import annotations

import datetime as dt
import logging
import os
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException

from service.history.events import Events
from service.history.log import EventLog, EventLogError
from service.http.limits import Limits, SettingError, read_limits
from service.http.metrics import Metrics, State
from service.http.patience import Patience
from service.plan.document import BundleError
from service.predict.predictor import Predictor, load_predictor

logger = logging.getLogger("bentoml.sextant")


class Served:
    """The predictor of this process, once it is loaded.

    It is ready in silence where $SEXTANT_READY_IN_SILENCE is set: for how long nothing was heard then forbids nothing.
    """

    def __init__(self) -> None:
        self.predictor: Predictor | None = None
        self.events: Events | None = None
        self.not_ready = "the model is being loaded"
        self.ready_in_silence = bool(os.environ.get("SEXTANT_READY_IN_SILENCE"))
        self.draining = False
        self.limits, self.patience = Limits(), Patience()
        self.metrics_folder: Path | None = None  # where the workers of a service share their figures
        self.headers: list[tuple[bytes, bytes]] = []  # of every response

    @property
    def not_ready(self) -> str | None:
        """Why requests should go elsewhere; None: they may come."""
        if self._not_ready is not None or self.predictor is None or self.ready_in_silence:
            return self._not_ready
        return self.predictor.histories.refusal(dt.datetime.now(dt.UTC))

    @not_ready.setter
    def not_ready(self, reason: str | None) -> None:
        self._not_ready = reason

    def load(self, folder: Path, log_folder: Path | None = None) -> None:
        """Load the bundle, replay its golden records, and take in the events of the log.

        In this order, as events may change the past of the golden records. Raises if the bundle or the log
        cannot be served at all.
        """
        predictor = load_predictor(folder)
        difference, tolerance = predictor.difference(), predictor.golden.tolerance
        plan = predictor.plan
        log = EventLog(log_folder, plan.use_case) if log_folder and plan.events else None
        events = Events(plan, predictor.histories, log)
        events.replay()
        self.predictor, self.events, self.not_ready = predictor, events, None
        self.headers = [_header("x-sextant-coordinates", predictor.id), _header("x-sextant-model", predictor.name)]
        if not difference <= tolerance:
            self.not_ready = f"a golden score differs by {difference:.3g}; at most {tolerance:.3g} is allowed"
            logger.error("%s is not ready: %s", predictor.name, self.not_ready)

    def start(self, folder: Path, log_folder: Path | None = None) -> None:
        """Load the bundle; one that cannot be served leaves a process that is never ready and says why.

        Raising would be worse: BentoML starts a failed worker anew a few times, then holds the port open for ever
        and answers nobody, so that neither a probe nor a caller learns anything.
        """
        try:
            self.limits = read_limits(os.environ)
            self.load(folder, log_folder)
        except Exception as error:
            explained = isinstance(error, BundleError | EventLogError | SettingError)
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
        heard = list(predictor.histories.state.heard.values()) if predictor else []
        return State(self.not_ready is None, about, heard)

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
