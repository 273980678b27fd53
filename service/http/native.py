"""The native protocol: records to score and events to take in as JSON, and what the model is."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from service.http.bodies import read_json, to_batch, to_rows
from service.http.endpoint import Endpoint, answer, as_json, document
from service.http.scoring import REFUSED, refusal, score
from service.http.served import Served
from service.http.trace import current
from service.predict import answers
from service.predict.predictor import Predictor
from service.records.reader import record_schema


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints over what is `served`; until that is loaded, all answer 503."""

    return [
        Endpoint(
            "POST",
            "/predict",
            'the answer to one record, or to each of {"records": [...]}',
            partial(_predict, served),
            as_json("Record", "Records"),
            as_json("Answer", "Answers"),
            "records and events",
        ),
        Endpoint(
            "POST",
            "/events",
            'takes {"table": ..., "rows": [...]} into the history, '
            "for as long as the process lives, or for good where SEXTANT_EVENTS names a folder",
            partial(_accept, served),
            as_json("Events"),
            as_json("Accepted"),
            "records and events",
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
        prediction = await score(served, predictor, batch.records, deadline, single=batch.single)
    except REFUSED as error:
        return answer(*refusal(error, limits, "record", "scored"))
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
        current.get().records = len(rows)
        return answer(asdict(await to_thread.run_sync(events.accept, table, rows, deadline)))
    except REFUSED as error:
        return answer(*refusal(error, limits, "row", "accepted"))
