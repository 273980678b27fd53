"""The HTTP application: routes, and errors that say what to mend."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.history.events import Events
from service.history.log import EventLog, EventLogError
from service.http.bodies import BodyError, read_json, to_batch, to_rows
from service.plan.document import BundleError
from service.predict import answers
from service.predict.predictor import Predictor, load_predictor
from service.records.reader import InvalidRecords, record_schema

logger = logging.getLogger("bentoml.sextant")

MAX_SHOWN_PROBLEMS = 100
# Above, and where a query makes features, scoring would hold up other requests for more than about a millisecond.
INLINE_RECORDS = 100

encode = msgspec.json.Encoder().encode

ROUTES = {
    "POST /predict": 'the answer to one record, or to each of {"records": [...]}',
    "POST /events": 'takes {"table": ..., "rows": [...]} into the history, '
    "for as long as the process lives, or for good where SEXTANT_EVENTS names a folder",
    "GET /schema": "the JSON Schema of a record, and what it is answered with",
    "GET /coordinates": "the data, code, configuration, environment and run that the model came from",
    "GET /healthz": "200 while the process is up",
    "GET /readyz": "200 once the model is loaded and answers its golden records",
    "GET /": "this page",
}


class Served:
    """The predictor of this process, once it is loaded; `not_ready` says why requests should go elsewhere."""

    def __init__(self) -> None:
        self.predictor: Predictor | None = None
        self.events: Events | None = None
        self.not_ready: str | None = "the model is being loaded"

    def load(self, folder: Path, log_folder: Path | None = None) -> None:
        """Load the bundle, replay its golden records, and take in the events of the log.

        In this order, as events may change the past of the golden records. Raises if the bundle or the log
        cannot be served at all.
        """
        predictor = load_predictor(folder)
        difference, tolerance = predictor.difference(), predictor.golden.tolerance
        plan = predictor.plan
        log = EventLog(log_folder, plan.use_case) if log_folder and plan.events else None
        events = Events(plan, predictor.histories, log)
        events.replay()
        self.predictor, self.events, self.not_ready = predictor, events, None
        if not difference <= tolerance:
            self.not_ready = f"a golden score differs by {difference:.3g}; at most {tolerance:.3g} is allowed"
            logger.error("%s is not ready: %s", predictor.name, self.not_ready)

    def start(self, folder: Path, log_folder: Path | None = None) -> None:
        """Load the bundle; one that cannot be served leaves a process that is never ready and says why.

        Raising would be worse: BentoML starts a failed worker anew a few times, then holds the port open for ever
        and answers nobody, so that neither a probe nor a caller learns anything.
        """
        try:
            self.load(folder, log_folder)
        except Exception as error:
            explained = isinstance(error, BundleError | EventLogError)
            self.not_ready = str(error) if explained else "the model failed to load; see the log"
            logger.exception("the bundle in %s cannot be served", folder)


class Application:
    """The routes over `served`; its headers on every response, and no exception passes it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._app: ASGIApp = Starlette(
            routes=routes(served),
            exception_handlers={HTTPException: _http_error, Exception: _server_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        predictor = self.served.predictor
        if scope["type"] != "http" or predictor is None:
            return await self._app(scope, receive, send)
        headers = [(b"x-sextant-coordinates", _header(predictor.id)), (b"x-sextant-model", _header(predictor.name))]

        async def send_stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        try:
            await self._app(scope, receive, send_stamped)
        except ClientDisconnect:
            logger.info("%s %s: the client went away", scope["method"], scope["path"])
        except Exception:  # Starlette has answered 500; what is left is to say why
            logger.exception("%s %s failed", scope["method"], scope["path"])


def _header(value: str) -> bytes:
    return value.encode("latin-1", "replace")


def routes(served: Served) -> list[Route]:
    """Return the routes that answer by what is `served`; until its predictor is loaded, most answer 503."""

    def predictor() -> Predictor:
        if served.predictor is None:
            raise HTTPException(503, served.not_ready)
        return served.predictor

    async def predict(request: Request) -> Response:
        return await _predict(request, predictor())

    async def accept(request: Request) -> Response:
        if served.events is None:
            raise HTTPException(503, served.not_ready)
        return await _accept(request, served.events)

    async def readyz(_: Request) -> Response:
        return _answer({"ready": True}) if served.not_ready is None else _error(503, served.not_ready)

    return [
        Route("/predict", predict, methods=["POST"]),
        Route("/events", accept, methods=["POST"]),
        Route("/schema", _get(lambda: _schema(predictor()))),
        Route("/coordinates", _get(lambda: predictor().coordinates)),
        Route("/healthz", _get(lambda: {"alive": True})),
        Route("/readyz", readyz),
        Route("/", _get(lambda: _index(predictor()))),
    ]


def _get(content: Callable[[], Any]) -> Callable[[Request], Any]:
    async def get(_: Request) -> Response:
        return Response(msgspec.json.format(encode(content())), media_type="application/json")

    return get


def _schema(predictor: Predictor) -> dict[str, Any]:
    schema = record_schema(predictor.plan, predictor.example)
    return {**schema, "description": answers.explanation(predictor.plan.task)}


def _index(predictor: Predictor) -> dict[str, Any]:
    return {
        "use_case": predictor.plan.use_case,
        "task": predictor.plan.task,
        "model": predictor.name,
        "coordinates": predictor.id,
        "routes": ROUTES,
        "example": predictor.example,
    }


async def _predict(request: Request, predictor: Predictor) -> Response:
    try:
        batch = to_batch(await read_json(request), predictor.plan.record)
        if len(batch.records) <= INLINE_RECORDS and predictor.plan.synthesis is None:
            prediction = predictor.predict(batch.records)
        else:
            prediction = await to_thread.run_sync(predictor.predict, batch.records)
    except BodyError as error:
        return _error(error.status, str(error))
    except InvalidRecords as error:
        return _invalid(error, "record", "no record was scored")
    about, task = {"model": predictor.name, "coordinates": predictor.id}, predictor.plan.task
    if batch.single:
        return _answer({**answers.one(task, prediction.scores[0]), **about, "warnings": prediction.warnings[0]})
    return _answer({**answers.many(task, prediction.scores), **about, "warnings": prediction.warnings})


async def _accept(request: Request, events: Events) -> Response:
    try:
        table, rows = to_rows(await read_json(request))
        return _answer(asdict(await to_thread.run_sync(events.accept, table, rows)))
    except BodyError as error:
        return _error(error.status, str(error))
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
    return _answer(content, 422)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _answer(content: Any, status: int = 200) -> Response:
    return Response(encode(content), status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _answer({"error": message}, status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is no {request.url.path}; the routes are {', '.join(ROUTES)}"
    response = _error(error.status_code, message)
    response.headers.update(error.headers or {})
    return response


async def _server_error(_: Request, __: Exception) -> Response:
    return _error(500, "the service failed on this request; its log says why")
