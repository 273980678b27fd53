"""The routes of SageMaker and of MLflow's scoring server, which share /invocations: the content says whose it is.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html and MLflow's "Serving a model".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.frames.answers import answer_rows, scored_of
from service.http.batch import FORMATS, answer_batch
from service.http.bodies import BodyError, read_json
from service.http.endpoint import Endpoint, answer, as_json, document, refuse
from service.http.media import JSON, content_type
from service.http.native import answer_body
from service.http.scoring import REFUSED, refusal, score
from service.http.served import Served
from service.predict.predictor import Predictor
from service.predict.rows import Scored
from service.records.reader import excerpt

GROUP = "SageMaker and MLflow"
PARAMS = "params"  # of MLflow; this model takes none


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints over what is `served`; until that is loaded, all answer 503."""
    tables = dict.fromkeys(FORMATS, ("Table",))

    async def ready(_: Request) -> Response:
        return answer({"ready": True}) if served.not_ready is None else refuse(503, served.not_ready)

    def version() -> dict[str, Any]:
        return _version(served.require_predictor())

    return [
        Endpoint(
            "POST",
            "/invocations",
            "the answers to what SageMaker sends, as /predict or /predict_batch gives them, or as MLflow's server does",
            partial(_invoke, served),
            {**as_json("Record", "Records", "Frame"), **tables},
            {**as_json("Answer", "Answers", "Predictions"), **dict.fromkeys(FORMATS, ("AnswerTable",))},
            GROUP,
        ),
        Endpoint("GET", "/ping", "200 once the model answers, for SageMaker and MLflow", ready, group=GROUP, open=True),
        Endpoint("GET", "/health", "the same, by another name that MLflow gives it", ready, group=GROUP, open=True),
        Endpoint("GET", "/version", "the version of the model", document(version), group=GROUP),
    ]


def _version(predictor: Predictor) -> dict[str, Any]:
    return {"version": predictor.name.rpartition(":")[2], "model": predictor.name, "coordinates": predictor.id}


async def _invoke(served: Served, request: Request) -> Response:
    kind = content_type(request)
    if kind in FORMATS or kind.endswith("parquet"):
        return await answer_batch(served, request, _predictions, JSON if kind == "text/csv" else None)
    version, limits = served.require_version(), served.limits
    predictor = version.predictor
    deadline = limits.deadline()
    try:
        body = await read_json(request, limits, served.patience)
        form = _form(body, predictor.columns)
        if form is None:
            return await answer_body(served, request, version, body, deadline)
        records = _records(body, form, list(predictor.plan.record), limits.records)
        prediction = await score(served, version, records, deadline) if records else None
    except REFUSED as error:
        return answer(*refusal(error, limits, "record", "scored"))
    if prediction is None:
        return answer({"predictions": []})
    return answer(_predictions(predictor, scored_of(predictor, prediction)))


def _predictions(predictor: Predictor, scored: Scored) -> dict[str, Any]:
    """Return the answers to rows as MLflow's server writes a table of them."""
    return {"predictions": answer_rows(predictor, scored)}


def _form(body: Any, columns: Mapping[str, Any]) -> str | None:
    """Return which of MLflow's forms a body has; None: it holds records. Raises BodyError where it has two."""
    if not isinstance(body, dict):
        return None
    forms = [form for form in FORMS if form in body and (form not in columns or isinstance(body[form], list | dict))]
    if not forms:
        return None
    others = sorted(body.keys() - {forms[0], PARAMS, "signature_name"})
    if others:
        raise BodyError(422, f"{forms[0]} stands beside {[excerpt(other) for other in others[:20]]}; send it alone")
    if body.get(PARAMS):
        raise BodyError(422, f"{PARAMS} are given, and this model takes none")
    return forms[0]


def _records(body: Mapping[str, Any], form: str, columns: Sequence[str], most: int) -> list[Any]:
    """Return the records of one of MLflow's forms, in which NaN is a missing value, too."""
    records = FORMS[form](body[form], columns)
    if len(records) > most:
        raise BodyError(413, f"{len(records)} rows were given; send at most {most} at a time")
    return [
        {name: None if value != value else value for name, value in record.items()}
        if isinstance(record, dict)
        else record
        for record in records
    ]


def _of_split(content: Any, _: Sequence[str]) -> list[Any]:
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise BodyError(422, 'dataframe_split is not {"columns": [...], "data": [[...], ...]}')
    names = content.get("columns")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BodyError(422, "the columns of dataframe_split are no list of names")
    return _of_lists("dataframe_split", content["data"], names)


def _of_lists(form: str, rows: Sequence[Any], names: Sequence[str]) -> list[Any]:
    if len(set(names)) < len(names):
        raise BodyError(422, f"the columns of {form} have a name twice")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise BodyError(422, f"row {number} of {form} is no list of {len(names)} values, one for each column")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _of_rows(form: str) -> Callable[[Any, Sequence[str]], list[Any]]:
    def rows(content: Any, columns: Sequence[str]) -> list[Any]:
        """Return rows that are records, or lists of values in the order of the columns of a record."""
        if isinstance(content, dict) and form == "inputs":
            return _of_columns(content)
        if not isinstance(content, list):
            raise BodyError(422, f"{form} is no list of rows")
        listed = bool(content) and isinstance(content[0], list) and form != "dataframe_records"
        return _of_lists(form, content, columns) if listed else content

    return rows


def _of_columns(content: Mapping[str, Any]) -> list[Any]:
    """Return the rows of columns, each a list of values or of lists of one value."""
    values = {name: column if isinstance(column, list) else [column] for name, column in content.items()}
    lengths = {len(column) for column in values.values()}
    if not lengths:
        raise BodyError(422, "inputs has no columns")
    if len(lengths) > 1:
        raise BodyError(422, f"the columns of inputs have different lengths: {sorted(lengths)[:20]}")
    single = [[_alone(value) for value in column] for column in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*single, strict=True)]


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


FORMS: dict[str, Callable[[Any, Sequence[str]], list[Any]]] = {
    "dataframe_split": _of_split,
    "dataframe_records": _of_rows("dataframe_records"),
    "instances": _of_rows("instances"),
    "inputs": _of_rows("inputs"),
}
