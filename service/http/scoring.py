"""Scoring: what all protocols do with the records of a request, and how they refuse one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from anyio import to_thread

from service.http.bodies import BodyError
from service.http.limits import Limits
from service.http.served import Served
from service.http.trace import current
from service.predict.predictor import Prediction, Predictor
from service.records.deadline import OutOfTimeError
from service.records.reader import InvalidRecords

MAX_SHOWN_PROBLEMS = 100
# Above, and where it is not quick, scoring would hold up other requests for more than about a millisecond.
INLINE_RECORDS = 100

REFUSED = (BodyError, InvalidRecords, OutOfTimeError)  # what a request can be refused by; nothing was done


async def score(
    served: Served, predictor: Predictor, records: Sequence[Any], deadline: float, *, single: bool = False
) -> Prediction:
    """Score the records of a request, and count them; raises one of REFUSED."""
    current.get().records = len(records)
    if len(records) <= INLINE_RECORDS and predictor.is_quick:
        return _score(served, predictor, records, deadline, single)
    return await to_thread.run_sync(_score, served, predictor, records, deadline, single)


def _score(served: Served, predictor: Predictor, records: Sequence[Any], deadline: float, single: bool) -> Prediction:
    prediction = predictor.predict(records, deadline)
    served.metrics.scored(predictor, prediction, single)
    if served.predictions is not None:
        served.predictions.add(predictor, prediction, current.get().request_id)
    return prediction


def refusal(error: Exception, limits: Limits, noun: str, done: str) -> tuple[dict[str, Any], int]:
    """Return what a refused request is answered with, and the status: no `noun` was `done`."""
    outcome = f"no {noun} was {done}"
    if isinstance(error, InvalidRecords):
        return _problems(error, noun, outcome), 422
    if isinstance(error, OutOfTimeError):
        current.get().refusal = "out_of_time"
        message = f"it would take more than {limits.seconds:g} s, so {outcome}; send fewer at a time"
        return {"error": message}, 503
    assert isinstance(error, BodyError)
    return {"error": str(error)}, error.status


def _problems(error: InvalidRecords, noun: str, outcome: str) -> dict[str, Any]:
    records = len({problem.record for problem in error.problems})
    content: dict[str, Any] = {
        "error": f"{_count(len(error.problems), 'problem')} in {_count(records, noun)}; {outcome}",
        "problems": [asdict(problem) for problem in error.problems[:MAX_SHOWN_PROBLEMS]],
    }
    if (left_out := len(error.problems) - MAX_SHOWN_PROBLEMS) > 0:
        content["problems_left_out"] = left_out
    return content


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
