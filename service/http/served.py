"""The version that a process serves, once its bundle is loaded, and the settings by which it does."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from weakref import finalize

from starlette.exceptions import HTTPException

from service.history.events import Events
from service.history.store import EventLogError, StoreError
from service.http.access import Access, read_access
from service.http.bentos import bentos_of
from service.http.capacity import Room, Threads, Work
from service.http.figures import Figures
from service.http.limits import Limits, SettingError, read_flag, read_limits
from service.http.metrics import Metrics, State
from service.http.patience import Patience
from service.http.request_log import RequestLog, open_request_log
from service.http.rollout import SHADOW, SPLIT, Rollout, Split, load_beside, read_rollout
from service.http.settings import READY_IN_SILENCE, check_names, given_names
from service.http.shadow import Shadow
from service.http.trace import Trace
from service.http.version import Header, Version, load_version
from service.plan.document import BundleError
from service.predict.predictor import Predictor
from service.predictions.log import PredictionLog, open_predictions
from service.predictions.settings import PredictionSettingError

logger = logging.getLogger("bentoml.sextant")


class Served:
    """The version of this process, once it is loaded; `not_ready` says why requests should go elsewhere.

    A request takes the version once, at its beginning: another one may take its place while the request is answered.
    Where it is `ready_in_silence`, to have heard nothing for long makes nothing not ready.
    """

    def __init__(self) -> None:
        self.version: Version | None = None
        self.not_ready = "the model is being loaded"
        self.ready_in_silence = False
        self.draining = False
        self._unequipped: Callable[[], None] | None = None  # while no version could be loaded
        self._unmet: str | None = None  # why it stays not ready, whatever version it serves
        self.limits, self.patience = Limits(), Patience()
        self.work, self.threads, self.room = Work(), Threads(), Room()
        self.access: Access | None = None
        self.rollout: Rollout | None = None
        self.figures: Figures | None = None  # by version, where there may be several
        self.shadow: Shadow | None = None
        self.split: Split | None = None
        self.refused: str | None = None  # the tag of the champion, where that is not what is served
        self.metrics_folder: Path | None = None  # where the workers of a service share their figures
        self.closers: list[Callable[[], Awaitable[None]]] = []  # of servers beside HTTP, called at the end
        self.predictions: PredictionLog | None = None
        self.requests: RequestLog | None = None

    @property
    def not_ready(self) -> str | None:
        """Why requests should go elsewhere; None: they may come."""
        if self._not_ready is not None or self.version is None:
            return self._not_ready
        silence = None if self.ready_in_silence else self.version.predictor.histories.refusal(dt.datetime.now(dt.UTC))
        return silence or self.version.events.not_ready()

    @not_ready.setter
    def not_ready(self, reason: str | None) -> None:
        self._not_ready = reason

    def load(self, folder: Path, place: str | Path | None = None) -> None:
        """Load the bundle; raises if it, or its events, cannot be served at all."""
        self.version = self.open(folder, place)
        self.not_ready = self.version.fault
        if self.not_ready is not None:
            logger.error("%s is not ready: %s", self.version.predictor.name, self.not_ready)

    def open(self, folder: Path, place: str | Path | None) -> Version:
        """Load the bundle of a version that is, or may be, served here."""
        return load_version(folder, place)

    def start(self, folder: Path, place: str | Path | None = None) -> None:
        """Load the bundle; one that cannot be served leaves a process that is never ready and says why.

        Raising would be worse: BentoML starts a failed worker anew a few times, then holds the port open for ever
        and answers nobody, so that neither a probe nor a caller learns anything.
        """
        try:
            check_names(os.environ)
            self.ready_in_silence = read_flag(os.environ, READY_IN_SILENCE)
            self.limits, self.access = read_limits(os.environ), read_access(os.environ)
            self.rollout, self.requests = read_rollout(os.environ), open_request_log(os.environ)
            if self.requests is not None:
                self.metrics.add(self.requests)
            if self.rollout is not None and place is None:
                place = mkdtemp(prefix="sextant-past-")  # all versions take in the same events
                finalize(self, rmtree, place, ignore_errors=True)
            self._unequipped = partial(self._equip, folder, place)
            self.load(folder, place)
            self._unequipped = None
            self._equip(folder, place)
            logger.info("%s is loaded; settings: %s", self.require_predictor().name, given_names(os.environ))
        except Exception as error:
            self.not_ready = _reason(error)
            self._unmet = self.not_ready if self.version is not None else None
            logger.exception("the bundle in %s cannot be served", folder)

    def _equip(self, folder: Path, place: str | Path | None) -> None:
        """Begin what the settings ask for beside the first version; raises where that cannot be."""
        self.predictions = open_predictions(os.environ, self.require_predictor())
        if self.predictions is not None:
            self.metrics.add(self.predictions)
        self.metrics.tallies.show(self.require_predictor())
        if self.rollout is not None:
            self.roll_out(self.rollout, folder, place)

    def note(self, route: str, status: int, seconds: float, trace: Trace) -> None:
        """Count a request that is over, and log the predictions that it was answered with."""
        self.metrics.answered(route, status, seconds, trace.refusal)
        if self.predictions is not None and status < 400:
            for answered in trace.answered:
                self.predictions.add(answered)

    def close(self) -> None:
        """Write what the logs have gathered; called once nobody is answered any more."""
        for log in (self.predictions, self.requests):
            if log is not None:
                log.close()

    def roll_out(self, rollout: Rollout, folder: Path, place: str | Path | None = None) -> None:
        """Load the versions that answer beside this one; raises SettingError where one cannot."""
        champion, self.figures = self.require_version(), Figures()
        bentos = bentos_of(folder, champion.predictor.plan.use_case, partial(self.open, place=place))
        self.metrics.add(self.figures)
        if rollout.shadow:
            self.shadow = Shadow(load_beside(bentos, rollout.shadow, SHADOW, champion), self.figures)
            self.shadow.begin()
        if rollout.challenger:
            self.split = Split(load_beside(bentos, rollout.challenger, SPLIT, champion), rollout.share)

    def swap(self, version: Version) -> None:
        """Let another version answer the requests that begin from now on."""
        self.version, self.refused = version, None
        if self._unequipped is not None:  # it is the first one that could be loaded
            equip, self._unequipped = self._unequipped, None
            try:
                equip()
            except Exception as error:
                self._unmet = _reason(error)
                logger.exception("%s lacks what the settings ask for", version.predictor.name)
        if not self.draining:
            self.not_ready = self._unmet

    def drain(self) -> None:
        """Be not ready, and let each answer close its connection, until the process ends."""
        self.draining, self.not_ready = True, "the service is shutting down"

    @property
    def remote(self) -> Events | None:
        """The events of the version, if they come from a store that is not read before each answer."""
        return self.version.remote if self.version is not None else None

    @property
    def headers(self) -> list[Header]:
        """Those of every response to a request that begins now."""
        return self.version.headers if self.version is not None else []

    def state(self) -> State:
        """Return what metrics say of this process at the moment."""
        predictor = self.version.predictor if self.version is not None else None
        about = {"model": predictor.name, "coordinates": predictor.id} if predictor else {}
        heard = predictor.histories.state.heard if predictor else {}
        follows = self.rollout is not None and self.rollout.follow
        return State(self.not_ready is None, about, self.refused is not None if follows else None, heard.values())

    @cached_property
    def metrics(self) -> Metrics:
        """The figures of this process, which begin when they are first asked for."""
        return Metrics(self.metrics_folder)

    def require_version(self) -> Version:
        """Return the version of a request that begins now; raises HTTPException, 503, with the reason without one."""
        if self.version is None:
            raise HTTPException(503, self.not_ready)
        return self.version

    def require_predictor(self) -> Predictor:
        """Return the predictor of `require_version`, for what needs nothing else of it."""
        return self.require_version().predictor

    def require_events(self) -> Events:
        """Return what takes the events of `require_version`."""
        return self.require_version().events


def _reason(error: Exception) -> str:
    """Return what an error that was met at the start tells whoever asks if the service is ready."""
    reasons = BundleError | EventLogError | SettingError | StoreError | PredictionSettingError
    return str(error) if isinstance(error, reasons) else "the model failed to load; see the log"
