"""The follower: the Bento that a use case was promoted to takes the place of the one that is served."""

from __future__ import annotations

import gc
import logging
from functools import partial
from pathlib import Path
from threading import Event, Thread

from service.http.bentos import Bentos, OtherCodeError, bentos_of
from service.http.served import Served

logger = logging.getLogger("bentoml.sextant")


class Follower:
    """Looks at what `latest` names, and lets a process serve it once it has answered as it should.

    One that cannot be served leaves the version that is there, and is not tried again until `latest` is written.
    """

    def __init__(self, served: Served, bentos: Bentos, seconds: float) -> None:
        self._served, self._bentos, self._seconds = served, bentos, seconds
        self._stamp: object = None
        self._ended = Event()

    def begin(self) -> None:
        """Look now and then, in a thread of its own."""
        Thread(target=self._go_on, name="follower", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Serve what `latest` names, if it has been written since the last look."""
        if (stamp := self._bentos.stamp()) == self._stamp:
            return
        self._stamp, tag, served = stamp, self._bentos.latest(), self._served
        if tag is None or (served.version is not None and served.version.tag == tag):
            served.refused = None
            return
        try:
            version = self._bentos.load(tag)
        except Exception as error:  # whatever is wrong with it, the version that is there goes on
            served.refused = tag
            advice = "; start the service anew to serve it" if isinstance(error, OtherCodeError) else ""
            logger.error("%s is not served: %s%s", tag, error, advice, exc_info=not isinstance(error, ValueError))
            return
        served.swap(version)
        logger.info("%s is served", tag)
        _free()

    def _go_on(self) -> None:
        while not self._ended.wait(self._seconds) and not self._served.draining:
            self.look()


def follow(served: Served, bundle: Path, place: str | Path | None = None) -> Follower | None:
    """Follow the champion where the settings say so; serve it at once, where another bundle was started with."""
    if served.rollout is None or not served.rollout.follow:
        return None
    use_case = served.version.predictor.plan.use_case if served.version is not None else ""
    bentos = bentos_of(bundle, use_case, partial(served.open, place=place))
    follower = Follower(served, bentos, served.rollout.follow)
    follower.look()
    follower.begin()
    return follower


def _free() -> None:
    """Free the memory of the version before, which was spared from collections as the one that came is from now on."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
        gc.freeze()
