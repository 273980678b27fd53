"""The native protocol: records to score and events to take in as JSON, and what the model is."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.history.store import EventLogError, UncertainError
from service.http.bodies import Batch, read_json, to_batch, to_rows
from service.http.endpoint import Endpoint, answer, as_json, document, refuse
from service.http.explaining import EXPLAIN, is_to_explain, require_few
from service.http.rollout import interleave
from service.http.scoring import INLINE_RECORDS, REFUSED, refusal, score
from service.http.served import Served
from service.http.trace import current
from service.http.version import HEADERS, Version, headers_of
from service.predict import answers
from service.predict.predictor import Predictor
from service.records.reader import InvalidRecords, record_schema

logger = logging.getLogger("bentoml.sextant")


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
            {"explain": EXPLAIN},
        ),
        Endpoint(
            "POST",
            "/events",
            'takes {"table": ..., "rows": [...]} into the history, '
            "for as long as the service lives, or for good where SEXTANT_EVENTS names a folder or a database",
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
    model = predictor.model
    described = answers.explanation(predictor.plan.task, model.thresholds, model.interval, model.no_interval)
    return {**schema, "description": described}


async def _predict(served: Served, request: Request) -> Response:
    version, limits = served.require_version(), served.limits
    deadline = limits.deadline()
    query = request.scope.get("query_string")
    try:
        explain = bool(query) and is_to_explain(request.query_params)
        body = await read_json(request, limits, served.patience)
        return await answer_body(served, request, version, body, deadline, explain=explain)
    except REFUSED as error:
        return answer(*refusal(error, limits, "record", "scored"))


async def answer_body(
    served: Served, request: Request, version: Version, body: Any, deadline: float, *, explain: bool = False
) -> Response:
    """Return the answer to one record, or to a list of them; raises one of REFUSED."""
    batch = to_batch(body, version.predictor.columns, served.limits.records)
    if explain:
        require_few(batch.records)
    if served.split is None:
        return answer(await _answer(served, version, batch, deadline, explain=explain))
    parts, groups = [], served.split.groups(version, batch.records)
    if len(groups) > 1:  # nothing is scored, and counted, of a list with a problem, and all problems are named
        check = partial(version.predictor.check, batch.records)
        if len(batch.records) <= INLINE_RECORDS:
            check()
        else:
            await served.threads.run(served.limits.in_threads, check)
    for one, indices in groups:
        part = Batch([batch.records[index] for index in indices], batch.single)
        try:
            parts.append((one, indices, await _answer(served, one, part, deadline, explain=explain)))
        except InvalidRecords as error:
            raise error.at(indices) from None
    request.scope[HEADERS] = headers_of([one for one, *_ in parts])
    return answer(interleave([(indices, content) for _, indices, content in parts]))


async def _answer(served: Served, version: Version, batch: Batch, deadline: float, *, explain: bool) -> dict[str, Any]:
    """Return what a version answers to the records of a request."""
    predictor = version.predictor
    prediction = await score(served, version, batch.records, deadline, single=batch.single, explain=explain)
    task, model = predictor.plan.task, predictor.model
    about: dict[str, Any] = {"model": predictor.name, "coordinates": predictor.id}
    if batch.single:
        content = answers.one(task, prediction.scores[0], model.thresholds, model.interval)
        about |= {"id": prediction.ids[0], "warnings": prediction.warnings[0]}
        kept: dict[str, list[Any]] = {"key": [*prediction.keys], "explanation": [*prediction.explanations]}
        return {**content, **about, **{name: listed[0] for name, listed in kept.items() if listed}}
    content = answers.many(task, prediction.scores, model.thresholds, model.interval)
    about |= {"ids": prediction.ids, "warnings": prediction.warnings}
    kept = {"keys": [*prediction.keys], "explanations": [*prediction.explanations]}
    return {**content, **about, **{name: listed for name, listed in kept.items() if listed}}


async def _accept(served: Served, request: Request) -> Response:
    events, limits = served.require_events(), served.limits
    deadline = limits.deadline()
    try:
        table, rows = to_rows(await read_json(request, limits, served.patience), limits.records)
        current().records = len(rows)
        return answer(asdict(await served.threads.run(limits.in_threads, events.accept, table, rows, deadline)))
    except REFUSED as error:
        return answer(*refusal(error, limits, "row", "accepted"))
    except (OSError, EventLogError) as error:
        logger.exception("events cannot be kept")
        return refuse(503, str(error) if isinstance(error, UncertainError) else f"no row was accepted: {error}")
