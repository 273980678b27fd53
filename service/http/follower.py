"""The follower: the Bento that a use case was promoted to takes the place of the one that is served."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from threading import Event, Thread

from service.http.served import Served
from service.http.store import Store, store_of

logger = logging.getLogger("bentoml.sextant")


class Follower:
    """Looks at what `latest` of a store names, and lets a process serve it once it has answered as it should.

    One that cannot be served leaves the version that is there, and is not tried again until `latest` is written.
    """

    def __init__(self, served: Served, store: Store, seconds: float) -> None:
        self._served, self._store, self._seconds = served, store, seconds
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
        if (stamp := self._store.stamp()) == self._stamp:
            return
        self._stamp, tag, served = stamp, self._store.latest(), self._served
        if tag is None or (served.version is not None and served.version.tag == tag):
            served.refused = None
            return
        try:
            version = self._store.load(tag)
        except Exception as error:  # whatever is wrong with it, the version that is there goes on
            served.refused = tag
            logger.error("%s is not served: %s", tag, error, exc_info=not isinstance(error, ValueError))
            return
        served.swap(version)
        logger.info("%s is served", tag)
        _free()

    def _go_on(self) -> None:
        while not self._ended.wait(self._seconds) and not self._served.draining:
            self.look()


def follow(served: Served, bundle: Path, log_folder: Path | None) -> Follower | None:
    """Follow the champion where the settings say so; serve it at once, where another bundle was started with."""
    if served.rollout is None or not served.rollout.follow:
        return None
    use_case = served.version.predictor.plan.use_case if served.version is not None else ""
    follower = Follower(served, store_of(bundle, use_case, log_folder), served.rollout.follow)
    follower.look()
    follower.begin()
    return follower


def _free() -> None:
    """Free the memory of the version before, which was spared from collections as the one that came is from now on."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
        gc.freeze()
