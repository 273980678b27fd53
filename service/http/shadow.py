"""The shadow: a version that computes what it would have answered, after the answer was given, for the figures only."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

from service.http.figures import Figures
from service.http.version import Version
from service.predict.answers import Score, many
from service.predict.predictor import Prediction, Predictor
from service.records.reader import InvalidRecords

logger = logging.getLogger("bentoml.sextant")

MOST_RECORDS = 10_000  # that wait; more are counted, and left
PART = 100  # records at a time: a thread that computes for long would hold up requests


Job = tuple[Sequence[Any], Prediction, Predictor]


class Shadow:
    """Answers records again in a thread, behind the requests, and counts where it differs from who answered them."""

    def __init__(self, version: Version, figures: Figures) -> None:
        self.version, self._figures = version, figures
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None: there are no more
        self._offered = self._done = 0  # records; each is counted by one thread alone

    def begin(self) -> None:
        """Begin to work, in a thread of its own."""
        Thread(target=self.work, name="shadow", daemon=True).start()

    def offer(self, records: Sequence[Any], prediction: Prediction, predictor: Predictor) -> None:
        """Take records that another version has answered; called in the event loop, which it does not hold up."""
        shadow = self.version.predictor
        if (predictor.name, predictor.id) == (shadow.name, shadow.id):
            return
        if self._offered - self._done + len(records) > MOST_RECORDS:
            self._figures.shadowed(shadow.name, "dropped", len(records))
            return
        self._offered += len(records)
        self._jobs.put((records, prediction, predictor))

    def end(self) -> None:
        """Answer what waits, and no more."""
        self._jobs.put(None)

    def work(self) -> None:
        """Answer what is offered, until the end."""
        while (job := self._jobs.get()) is not None:
            self._compare(*job)

    def _compare(self, records: Sequence[Any], prediction: Prediction, predictor: Predictor) -> None:
        for start in range(0, len(records), PART):
            part = records[start : start + PART]
            self._compare_part(part, prediction.scores[start : start + PART], predictor)
            self._done += len(part)

    def _compare_part(self, records: Sequence[Any], scores: Sequence[Score], predictor: Predictor) -> None:
        shadow = self.version.predictor
        try:
            if shadow.events is not None and shadow.events.stale():
                shadow.events.refresh()
            answered = shadow.predict(records).scores
        except InvalidRecords:
            return self._figures.shadowed(shadow.name, "refused", len(records))
        except Exception:  # of which nobody else must hear
            logger.exception("%s failed as a shadow", self.version.tag)
            return self._figures.shadowed(shadow.name, "failed", len(records))
        differences = np.abs(np.subtract(answered, scores)).reshape(len(records), -1).max(axis=1).tolist()
        decided = zip(_decisions(predictor, scores), _decisions(shadow, answered), strict=True)
        self._figures.compared(shadow.name, differences, [one != other for one, other in decided])


def _decisions(predictor: Predictor, scores: Sequence[Score]) -> list[Any]:
    """Return the decision, or the class, that each score leads to; where there is none, nothing."""
    answer = many(predictor.plan.task, scores, predictor.thresholds)
    decided: list[Any] = answer.get("decisions") or answer.get("classes") or [None] * len(scores)
    return decided
