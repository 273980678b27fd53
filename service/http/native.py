"""The native protocol: records to score and events to take in as JSON, and what the model is."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from service.http.bodies import BodyError, read_json, to_batch, to_rows
from service.http.endpoint import Endpoint, answer, document, refuse
from service.http.limits import Limits
from service.http.served import Served
from service.predict import answers
from service.predict.predictor import Predictor
from service.records.deadline import OutOfTimeError
from service.records.reader import InvalidRecords, record_schema

MAX_SHOWN_PROBLEMS = 100
# Above, and where it is not quick, scoring would hold up other requests for more than about a millisecond.
INLINE_RECORDS = 100


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints over what is `served`; until that is loaded, all answer 503."""

    return [
        Endpoint(
            "POST", "/predict", 'the answer to one record, or to each of {"records": [...]}', partial(_predict, served)
        ),
        Endpoint(
            "POST",
            "/events",
            'takes {"table": ..., "rows": [...]} into the history, '
            "for as long as the process lives, or for good where SEXTANT_EVENTS names a folder",
            partial(_accept, served),
        ),
        Endpoint(
            "GET",
            "/schema",
            "the JSON Schema of a record, and what it is answered with",
            document(lambda: _schema(served.require_predictor())),
        ),
        Endpoint(
            "GET",
            "/coordinates",
            "the data, code, configuration, environment and run that the model came from",
            document(lambda: served.require_predictor().coordinates),
        ),
    ]


def _schema(predictor: Predictor) -> dict[str, Any]:
    schema = record_schema(predictor.plan, predictor.example)
    return {**schema, "description": answers.explanation(predictor.plan.task, predictor.thresholds)}


async def _predict(served: Served, request: Request) -> Response:
    predictor, limits = served.require_predictor(), served.limits
    deadline = limits.deadline()
    try:
        batch = to_batch(await read_json(request, limits, served.patience), predictor.plan.record, limits.records)
        if len(batch.records) <= INLINE_RECORDS and predictor.is_quick:
            prediction = predictor.predict(batch.records, deadline)
        else:
            prediction = await to_thread.run_sync(predictor.predict, batch.records, deadline)
    except BodyError as error:
        return refuse(error.status, str(error))
    except OutOfTimeError:
        return _out_of_time(limits, "no record was scored")
    except InvalidRecords as error:
        return _invalid(error, "record", "no record was scored")
    served.metrics.scored(prediction.warnings, batch.single)
    about = {"model": predictor.name, "coordinates": predictor.id}
    task, thresholds = predictor.plan.task, predictor.thresholds
    if batch.single:
        return answer(
            {**answers.one(task, prediction.scores[0], thresholds), **about, "warnings": prediction.warnings[0]}
        )
    return answer({**answers.many(task, prediction.scores, thresholds), **about, "warnings": prediction.warnings})


async def _accept(served: Served, request: Request) -> Response:
    events, limits = served.require_events(), served.limits
    deadline = limits.deadline()
    try:
        table, rows = to_rows(await read_json(request, limits, served.patience), limits.records)
        return answer(asdict(await to_thread.run_sync(events.accept, table, rows, deadline)))
    except BodyError as error:
        return refuse(error.status, str(error))
    except OutOfTimeError:
        return _out_of_time(limits, "no row was accepted")
    except InvalidRecords as error:
        return _invalid(error, "row", "no row was accepted")


def _invalid(error: InvalidRecords, noun: str, outcome: str) -> Response:
    records = len({problem.record for problem in error.problems})
    content: dict[str, Any] = {
        "error": f"{_count(len(error.problems), 'problem')} in {_count(records, noun)}; {outcome}",
        "problems": [asdict(problem) for problem in error.problems[:MAX_SHOWN_PROBLEMS]],
    }
    if (left_out := len(error.problems) - MAX_SHOWN_PROBLEMS) > 0:
        content["problems_left_out"] = left_out
    return answer(content, 422)


def _out_of_time(limits: Limits, outcome: str) -> Response:
    return refuse(503, f"it would take more than {limits.seconds:g} s, so {outcome}; send fewer at a time")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
