"""Scoring: what all protocols do with the records of a request, and how they refuse one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from service.frames.answers import scored_of
from service.http.bodies import BodyError
from service.http.capacity import OverloadedError
from service.http.freshness import catch_up
from service.http.limits import Limits
from service.http.served import Served
from service.http.tallies import Tally
from service.http.trace import Trace, current
from service.http.version import Version
from service.predict.explaining import UnexplainedError
from service.predict.identity import prediction_ids
from service.predict.observed import Part
from service.predict.predictor import Prediction, Predictor
from service.predict.rows import Rows, Scored, WordyError
from service.predictions.log import Answered
from service.records.deadline import OutOfTimeError
from service.records.notices import Notice, notice
from service.records.reader import InvalidRecords

MAX_SHOWN_PROBLEMS = 100
# Above, and where it is not quick, scoring would hold up other requests for more than about a millisecond.
INLINE_RECORDS = 100

# What a request can be refused by; nothing was done.
REFUSED = (BodyError, InvalidRecords, OutOfTimeError, OverloadedError, UnexplainedError, WordyError)


async def score(
    served: Served,
    version: Version,
    records: Sequence[Any],
    deadline: float,
    *,
    single: bool = False,
    explain: bool = False,
) -> Prediction:
    """Score the records of a request, count them, and name the predictions; raises one of REFUSED.

    All events that were accepted before the request came are taken in first, and if that fails its answer says so.
    """
    begun, predictor, trace = perf_counter(), version.predictor, current()
    trace.records += len(records)
    if predictor.events is not None and predictor.events.stale():
        await catch_up(predictor.events)  # beside the threads that may be taken: single records wait for none
    work = partial(_score, served, predictor, records, deadline, trace, single=single, explain=explain)
    if len(records) <= INLINE_RECORDS and predictor.is_quick and not explain:
        prediction = work()
    else:
        prediction = await served.threads.run(served.limits.in_threads, work)
    if served.figures is not None:
        served.figures.scored(predictor.name, perf_counter() - begun)
    if served.shadow is not None:
        served.shadow.offer(records, prediction, predictor)
    return prediction


async def score_rows(served: Served, version: Version, rows: Rows, deadline: float) -> Scored:
    """Score the rows of a request, beside other requests unless they are few; count them; raises one of REFUSED.

    They are answered as the same records are by `score`.
    """
    predictor, trace = version.predictor, current()
    if 0 < len(rows) <= INLINE_RECORDS:
        records = rows.records(range(len(rows)))
        return scored_of(predictor, await score(served, version, records, deadline, single=len(rows) == 1))
    begun = perf_counter()
    trace.records += len(rows)
    if predictor.events is not None and predictor.events.stale():
        await catch_up(predictor.events)
    work = partial(_score_rows, served, predictor, rows, deadline, trace)
    scored = await served.threads.run(served.limits.in_threads, work)
    if served.figures is not None:
        served.figures.scored(predictor.name, perf_counter() - begun)
    if served.shadow is not None and len(rows):
        served.shadow.offer_rows(rows, scored, predictor)
    return scored


def _score_rows(served: Served, predictor: Predictor, rows: Rows, deadline: float, trace: Trace) -> Scored:
    behind = predictor.events.behind() if predictor.events is not None else None
    ids, tally, log = prediction_ids(len(rows)), Tally(predictor), served.predictions
    answered = list[Answered]()

    def observe(part: Part, scored: Scored) -> None:
        if behind is not None:
            for place in part.places:
                scored.warned.setdefault(place, []).append(lacking(behind))
        tally.add_part(part)
        if log is not None:
            warnings = [scored.warned.get(place, []) for place in part.places]
            names = ids[part.places.start : part.places.stop]
            answered.append(log.prepare_rows(predictor, rows, part, warnings, names, trace.request_id))

    scored = predictor.predict_rows(rows, deadline, served.limits.batch_bytes, observe)
    scored.ids = ids
    served.metrics.scored_rows(predictor, tally, scored)
    trace.answered += answered
    return scored


def lacking(behind: str) -> Notice:
    """Return the warning of an answer whose history could not be read to its end."""
    return notice("behind", "events", [], f"the history may lack events: {behind}")


def _score(
    served: Served,
    predictor: Predictor,
    records: Sequence[Any],
    deadline: float,
    trace: Trace,
    *,
    single: bool,
    explain: bool,
) -> Prediction:
    answered = predictor.predict(records, deadline, explain=True) if explain else predictor.predict(records, deadline)
    if predictor.events is not None and (behind := predictor.events.behind()) is not None:
        for warnings in answered.warnings:
            warnings.append(lacking(behind))
    prediction = replace(answered, ids=prediction_ids(len(records)))
    served.metrics.scored(predictor, prediction, single)
    if served.predictions is not None:
        trace.answered.append(served.predictions.prepare(predictor, prediction, trace.request_id))
    return prediction


def refusal(error: Exception, limits: Limits, noun: str, done: str) -> tuple[dict[str, Any], int]:
    """Return what a refused request is answered with, and the status: no `noun` was `done`."""
    outcome = f"no {noun} was {done}"
    if isinstance(error, InvalidRecords):
        return _problems(error, noun, outcome), 422
    if isinstance(error, OutOfTimeError):
        current().refusal = "out_of_time"
        message = f"it would take more than {limits.seconds:g} s, so {outcome}; send fewer at a time"
        return {"error": message}, 503
    if isinstance(error, WordyError):
        return {"error": f"{error}, so {outcome}; send fewer at a time"}, 413
    if isinstance(error, UnexplainedError):
        return {"error": f"{error}; {outcome}. Without explain=true they are"}, 501
    if isinstance(error, OverloadedError):
        return {"error": f"{error}, so {outcome}; send it again later"}, 429
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
