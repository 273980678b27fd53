"""Batches: many rows as Arrow, Parquet or CSV, answered in the format that is accepted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.frames.answers import scored_table
from service.frames.columns import ColumnsError
from service.frames.formats import (
    ALIASES,
    CSV,
    FILE,
    PARQUET,
    STREAM,
    Bounds,
    FormatError,
    TooLargeError,
    read_rows,
    write_table,
)
from service.http.bodies import BodyError, read_body
from service.http.endpoint import Endpoint, answer
from service.http.limits import Limits
from service.http.media import JSON, accepted, content_type
from service.http.scoring import REFUSED, refusal, score_rows
from service.http.served import Served
from service.predict import answers
from service.predict.predictor import Predictor
from service.predict.rows import Rows, Scored
from service.records.reader import excerpt

FORMATS = (STREAM, FILE, PARQUET, CSV)
LONGEST_NUMBER = 20  # digits of a header
ROOMS = 2  # bodies of the greatest length that are in work at the same time
Content = Callable[[Predictor, Scored], Any]


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoint over what is `served`; until that is loaded, it answers 503."""
    return [
        Endpoint(
            "POST",
            "/predict_batch",
            "the answers to the rows of a table, in Arrow, Parquet or CSV as its content type says",
            partial(_predict_batch, served),
            dict.fromkeys(FORMATS, ("Table",)),
            {**dict.fromkeys(FORMATS, ("AnswerTable",)), JSON: ("Answers",)},
            "records and events",
        )
    ]


async def _predict_batch(served: Served, request: Request) -> Response:
    return await answer_batch(served, request, as_answers)


def as_answers(predictor: Predictor, scored: Scored) -> dict[str, Any]:
    """Return the answers to rows as those to a list of records are given in JSON."""
    task, model = predictor.plan.task, predictor.model
    return {
        **answers.many(task, scored.scores.tolist(), model.thresholds, model.interval),
        "model": predictor.name,
        "coordinates": predictor.id,
        "ids": scored.ids,
        "warnings": scored.warnings(),
    }


async def answer_batch(served: Served, request: Request, content: Content, default: str | None = None) -> Response:
    """Return the answers to a table, in the format accepted: `content` where that is JSON.

    Where none is asked for it is the `default`, else that of the table.
    """
    version, limits = served.require_version(), served.limits
    predictor = version.predictor
    deadline = limits.deadline()
    try:
        kind = _kind_of(content_type(request))
        form = accepted(request, list(dict.fromkeys([default or kind, *FORMATS, JSON])))
        with served.room.take(body_length(request, limits), ROOMS * limits.batch_bytes):
            body = await read_body(request, limits, served.patience, limits.batch_bytes)
            bounds = Bounds(limits.batch_rows, limits.batch_bytes, deadline)
            rows = await served.threads.run(limits.in_threads, _read, kind, body, predictor, bounds)
            scored = await score_rows(served, version, rows, deadline)
            return await served.threads.run(None, _response, form, predictor, scored, content)
    except REFUSED as error:
        return answer(*refusal(error, limits, "row", "scored"))


def body_length(request: Request, limits: Limits) -> int:
    """Return the bytes of a body, as announced; the most that it may have where they are not."""
    length = digits(request.headers.get("content-length", ""))
    return limits.batch_bytes if length is None else length


def digits(text: str) -> int | None:
    """Return the number that the text of a header is; None: it is none, as `²` and `٣`, which Python calls digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else None


def _kind_of(given: str) -> str:
    """Return the format of a media type; raises BodyError where it is none, or cannot be read here."""
    kind = ALIASES.get(given, given)
    if kind not in FORMATS:
        raise BodyError(415, f"the content type is {excerpt(given)!r}; send {', '.join(FORMATS)}")
    if find_spec("pyarrow") is None:
        raise BodyError(
            501, "no pyarrow is installed that reads tables (`bento: {extras: [arrow]}`); send records to /predict"
        )
    return kind


def _read(kind: str, body: bytearray, predictor: Predictor, bounds: Bounds) -> Rows:
    try:
        return read_rows(kind, body, predictor.plan, bounds)
    except FormatError as error:
        raise BodyError(400, str(error)) from None
    except TooLargeError as error:
        raise BodyError(413, str(error)) from None
    except ColumnsError as error:
        raise BodyError(422, f"{error}; no row was scored") from None


def _response(form: str, predictor: Predictor, scored: Scored, content: Content) -> Response:
    if form == JSON:
        return answer(content(predictor, scored))
    about = {"sextant.model": predictor.name, "sextant.coordinates": predictor.id}
    table = scored_table(predictor, scored).replace_schema_metadata(about)
    return Response(write_table(form, table), media_type=form)
