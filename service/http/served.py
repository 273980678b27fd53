"""The predictor of a process and the events that it takes in, once its bundle is loaded."""

from __future__ import annotations

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
from service.http.request_log import RequestLog, open_request_log
from service.plan.document import BundleError
from service.predict.predictor import Predictor, load_predictor
from service.predictions.log import PredictionLog, open_predictions
from service.predictions.settings import PredictionSettingError

logger = logging.getLogger("bentoml.sextant")


class Served:
    """The predictor of this process, once it is loaded; `not_ready` says why requests should go elsewhere."""

    def __init__(self) -> None:
        self.predictor: Predictor | None = None
        self.events: Events | None = None
        self.not_ready: str | None = "the model is being loaded"
        self.draining = False
        self.limits, self.patience = Limits(), Patience()
        self.metrics_folder: Path | None = None  # where the workers of a service share their figures
        self.headers: list[tuple[bytes, bytes]] = []  # of every response
        self.predictions: PredictionLog | None = None
        self.requests: RequestLog | None = None

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
            self.requests = open_request_log(os.environ)
            self.load(folder, log_folder)
            self.predictions = open_predictions(os.environ, self.require_predictor())
            self.metrics.tallies.show(self.require_predictor())
        except Exception as error:
            explained = isinstance(error, BundleError | EventLogError | SettingError | PredictionSettingError)
            self.not_ready = str(error) if explained else "the model failed to load; see the log"
            logger.exception("the bundle in %s cannot be served", folder)
        for log in (self.predictions, self.requests):
            if log is not None:
                self.metrics.add(log)

    def close(self) -> None:
        """Write what the logs have gathered; called once nobody is answered any more."""
        for log in (self.predictions, self.requests):
            if log is not None:
                log.close()

    def drain(self) -> None:
        """Be not ready, and let each answer close its connection, until the process ends."""
        self.draining, self.not_ready = True, "the service is shutting down"
        self.headers = [*self.headers, (b"connection", b"close")]

    def state(self) -> State:
        """Return what metrics say of this process at the moment."""
        predictor = self.predictor
        about = {"model": predictor.name, "coordinates": predictor.id} if predictor else {}
        return State(self.not_ready is None, about)

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
