"""The shadow: a version that computes what it would have answered, after the answer was given, for the figures only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.http.figures import Figures
from service.http.version import Version
from service.predict.answers import Score, many
from service.predict.predictor import Prediction, Predictor
from service.predict.rows import Rows, Scored
from service.records.reader import InvalidRecords

logger = logging.getLogger("bentoml.sextant")

MOST_RECORDS = 10_000  # that wait; more are counted, and left
MOST_CHARACTERS = 100_000_000  # of texts that wait
TABLE = MOST_CHARACTERS // 2  # a table counts for so many, whatever it holds: two wait at most
PART = 100  # records at a time: a thread that computes for long would hold up requests


class Job(NamedTuple):
    """Records that were answered: what returns some of them, their scores, who scored them, and their characters."""

    records: Callable[[range], Sequence[Any]]
    scores: Sequence[Score] | NDArray[np.float64]
    predictor: Predictor
    characters: int

    def part(self, start: int) -> Sequence[Score]:
        """Return the scores of the part that begins with a record."""
        scores = self.scores[start : start + PART]
        return scores.tolist() if isinstance(scores, np.ndarray) else scores


class Shadow:
    """Answers records again in a thread, behind the requests, and counts where it differs from who answered them."""

    def __init__(self, version: Version, figures: Figures) -> None:
        self.version, self._figures = version, figures
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None: there are no more
        # records, and characters; each is counted by one thread alone
        self._offered = self._done = self._characters_offered = self._characters_done = 0

    def begin(self) -> None:
        """Begin to work, in a thread of its own."""
        Thread(target=self.work, name="shadow", daemon=True).start()

    def offer(self, records: Sequence[Any], prediction: Prediction, predictor: Predictor) -> None:
        """Take records that another version has answered; called in the event loop, which it does not hold up."""
        characters = sum(len(v) for record in records for v in record.values() if type(v) is str)
        self._offer(Job(lambda places: records[places.start : places.stop], prediction.scores, predictor, characters))

    def offer_rows(self, rows: Rows, scored: Scored, predictor: Predictor) -> None:
        """Take the rows of a table, as records are taken."""
        self._offer(Job(rows.records, scored.scores, predictor, TABLE))

    def _offer(self, job: Job) -> None:
        shadow, count = self.version.predictor, len(job.scores)
        if (job.predictor.name, job.predictor.id) == (shadow.name, shadow.id):
            return
        waiting = self._characters_offered - self._characters_done
        if self._offered - self._done + count > MOST_RECORDS or waiting + job.characters > MOST_CHARACTERS:
            self._figures.shadowed(shadow.name, "dropped", count)
            return
        self._offered += count
        self._characters_offered += job.characters
        self._jobs.put(job)

    def end(self) -> None:
        """Answer what waits, and no more."""
        self._jobs.put(None)

    def work(self) -> None:
        """Answer what is offered, until the end."""
        while (job := self._jobs.get()) is not None:
            self._compare(job)

    def _compare(self, job: Job) -> None:
        for start in range(0, len(job.scores), PART):
            scores = job.part(start)
            self._compare_part(partial(job.records, range(start, start + len(scores))), scores, job.predictor)
            self._done += len(scores)
        self._characters_done += job.characters

    def _compare_part(self, take: Callable[[], Sequence[Any]], scores: Sequence[Score], predictor: Predictor) -> None:
        shadow, count = self.version.predictor, len(scores)
        try:
            if shadow.events is not None and shadow.events.stale():
                shadow.events.refresh()
            answered = shadow.predict(take()).scores
        except InvalidRecords:
            return self._figures.shadowed(shadow.name, "refused", count)
        except Exception:  # of which nobody else must hear
            logger.exception("%s failed as a shadow", self.version.tag)
            return self._figures.shadowed(shadow.name, "failed", count)
        differences = np.abs(np.subtract(answered, scores)).reshape(count, -1).max(axis=1).tolist()
        decided = zip(_decisions(predictor, scores), _decisions(shadow, answered), strict=True)
        self._figures.compared(shadow.name, differences, [one != other for one, other in decided])


def _decisions(predictor: Predictor, scores: Sequence[Score]) -> list[Any]:
    """Return the decision, or the class, that each score leads to; where there is none, nothing."""
    answer = many(predictor.plan.task, scores, predictor.thresholds)
    decided: list[Any] = answer.get("decisions") or answer.get("classes") or [None] * len(scores)
    return decided
