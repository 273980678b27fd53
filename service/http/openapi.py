"""The OpenAPI 3.1 document of a service: what each route takes and answers, in the columns of its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.http.endpoint import Content, Endpoint, as_json
from service.http.limits import Limits
from service.http.schemas import protocol_schemas
from service.plan.document import Plan, Task
from service.plan.parts import EventTable
from service.predict.answers import Interval, explanation
from service.records.reader import SCHEMAS, columns_schema, record_schema
from service.records.usual import UsualColumn

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
ID: Schema = {"type": "string", "format": "uuid"}
INTERVAL: Schema = {
    "type": "object",
    "properties": {"lower": NUMBER, "upper": NUMBER, "level": SHARE},
    "required": ["lower", "upper", "level"],
    "additionalProperties": False,
}
WARNINGS: Schema = {"type": "array", "items": TEXT}


def openapi(
    plan: Plan,
    endpoints: Iterable[Endpoint],
    limits: Limits,
    *,
    version: str = "",
    thresholds: Sequence[float] = (),
    interval: Interval | None = None,
    no_interval: str = "",
    explained: bool = True,
    usual: Mapping[str, UsualColumn] | None = None,
    example: Mapping[str, Any] | None = None,
) -> Schema:
    """Return the document; `usual` and `example` describe the columns of a record.

    A model that is not `explained` says so where it is asked to be.
    """
    paths: dict[str, Any] = {}
    for endpoint in filter(lambda endpoint: endpoint.group, endpoints):
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, explained)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": plan.use_case,
            "version": version or "unknown",
            "description": explanation(plan.task, thresholds, interval, no_interval),
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Record": _record(plan, usual or {}, example),
                "Records": _closed({"records": _many("#/components/schemas/Record", limits)}),
                "Answer": _one(plan, thresholds, interval),
                "Answers": _batch(plan, thresholds, interval),
                "Explanation": _explanation(plan.task),
                "Events": _events(plan.events, limits),
                "Accepted": _closed({"accepted": {"type": "integer"}, "replaced": {"type": "integer"}}),
                "Error": _error(),
                "Document": {"type": "object"},
                "Text": TEXT,
                **protocol_schemas(plan, limits),
            }
        },
    }


def _operation(endpoint: Endpoint, explained: bool) -> Schema:
    identifier = endpoint.title.replace(" /", "_").rstrip("_").lower()
    described: Schema = {"summary": endpoint.purpose, "operationId": identifier, "tags": [endpoint.group]}
    answered = _body("The answer", _media(endpoint.answers))
    if endpoint.path == "/metrics":
        return {**described, "responses": {"200": answered}}
    query = {name: about for name, about in endpoint.query.items() if explained or name != "explain"}
    if query:
        described["parameters"] = [{"name": name, "in": "query", **about} for name, about in query.items()]
    errors = {"404": _error_body("No such model")} if endpoint.path.startswith("/v2/models/") else {}
    errors |= {"500": _error_body("The service failed"), "503": _error_body("Not ready, or it would take too long")}
    if not endpoint.takes:
        return {**described, "responses": {"200": answered, **errors}}
    refused = {
        "400": _error_body("No JSON in UTF-8, a key that is there twice, or another content than its type has"),
        "408": _error_body("The body did not come in time"),
        "413": _error_body("The body, or the list or table in it, is too long"),
        "415": _error_body("Another content type, or a packed body"),
        "422": _error_body("Records or rows that cannot be taken, each with its field"),
        "429": _error_body("More requests are in work than may be; it was not begun"),
    }
    if len(endpoint.answers) > 1 and not endpoint.path.startswith("/v2/"):
        refused |= {
            "406": _error_body("No format of the answer is accepted"),
            "501": _error_body("Tables are not read here"),
        }
    if query != endpoint.query:
        errors["501"] = _error_body("With explain=true: answers of this model cannot be explained")
    return {
        **described,
        "requestBody": {"required": True, "content": _media(endpoint.takes)},
        "responses": {"200": answered, **refused, **errors},
    }


def _record(plan: Plan, usual: Mapping[str, UsualColumn], example: Mapping[str, Any] | None) -> Schema:
    schema = record_schema(plan, example)
    del schema["$schema"]
    for name, column in usual.items():
        if name in schema["properties"]:
            schema["properties"][name] = {**schema["properties"][name], "description": _in_training(column)}
    return schema


def _in_training(column: UsualColumn) -> str:
    missing = f"missing in {column.missing:.1%} of the rows of training"
    if column.lowest is None or column.highest is None:
        return missing
    return f"from {column.lowest:.6g} to {column.highest:.6g} in training, and {missing}"


def _events(tables: Mapping[str, EventTable], limits: Limits) -> Schema:
    kinds = []
    for name, table in tables.items():
        row = {
            "type": "object",
            "properties": columns_schema(table.record, table.keys),
            "required": table.keys,
            "additionalProperties": False,
        }
        rows = {"type": "array", "items": row, "minItems": 1, "maxItems": limits.records}
        kinds.append(_closed({"table": {"const": name}, "rows": rows}))
    return {"oneOf": kinds} if kinds else {"not": {}, "description": "This model takes no events"}


def _about(schema: Schema, warnings: Schema, optional: Schema) -> Schema:
    whole = _closed({**schema, "model": TEXT, "coordinates": TEXT, "warnings": warnings})
    return {**whole, "properties": {**whole["properties"], **optional}}


def _one(plan: Plan, thresholds: Sequence[float], interval: Interval | None) -> Schema:
    key = {"key": _key(plan)} if plan.key else {}
    scored = {**_scored(plan.task, thresholds, interval), "id": ID}
    return _about(scored, WARNINGS, {**key, "explanation": _explained(plan)})


def _scored(task: Task, thresholds: Sequence[float], interval: Interval | None) -> Schema:
    if task.targets:
        decided = {"decisions": _named(task.targets, FLAG), "thresholds": _named(task.targets, NUMBER)}
        return {"probabilities": _named(task.targets, SHARE), **decided}
    if task.kind == "multiclass":
        return {"class": _class(task), "probabilities": _named(task.classes, SHARE)}
    if interval is not None:
        return {"score": NUMBER, "interval": INTERVAL}
    return {"score": NUMBER, **({"decision": FLAG, "threshold": NUMBER} if thresholds else {})}


def _batch(plan: Plan, thresholds: Sequence[float], interval: Interval | None) -> Schema:
    """Return the schema of an answer to several records: lists, but for what is the same for all of them."""
    shared = {"threshold", "thresholds"}
    scored = {
        name if name in shared else _PLURALS.get(name, name): schema if name in shared else _list(schema)
        for name, schema in _scored(plan.task, thresholds, interval).items()
    }
    keys = {"keys": _list({"oneOf": [_key(plan), {"type": "null"}]})} if plan.key else {}
    return _about({**scored, "ids": _list(ID)}, _list(WARNINGS), {**keys, "explanations": _list(_explained(plan))})


_PLURALS = {"score": "scores", "decision": "decisions", "class": "classes", "interval": "intervals"}


def _key(plan: Plan) -> Schema:
    properties = {name: SCHEMAS[kind] for name, kind in plan.key.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _explained(plan: Plan) -> Schema:
    of_one = {"$ref": "#/components/schemas/Explanation"}
    return _named(plan.task.targets, of_one) if plan.task.targets else of_one


def _explanation(task: Task) -> Schema:
    contribution = _closed({"feature": TEXT, "value": {"type": ["number", "string", "null"]}, "contribution": NUMBER})
    whole = _closed(
        {
            "method": {"enum": ["exact", "permutations"]},
            "space": TEXT,
            "base": NUMBER,
            "score": NUMBER,
            "contributions": _list(contribution),
            "background": {"type": "integer", "minimum": 1},
            **({"class": _class(task)} if task.kind == "multiclass" else {}),
        }
    )
    described = "The contributions add up from `base`, the mean of the `background`, to `score`, which is in `space`"
    properties = {**whole["properties"], "samples": {"type": "integer", "minimum": 1}}
    return {**whole, "properties": properties, "description": described}


def _class(task: Task) -> Schema:
    return {"enum": list(task.classes)}


def _named(names: Iterable[str], value: Schema) -> Schema:
    """Return the schema of an object that has a value for each of some names."""
    return _closed(dict.fromkeys(names, value))


def _error() -> Schema:
    problem = {"error": TEXT, "record": {"type": "integer"}, "field": {"type": ["string", "null"]}}
    problems = _list(_closed({**problem, "given": {}, "allowed": {}}))
    properties = {"error": TEXT, "problems": problems, "problems_left_out": {"type": "integer"}, "error_id": TEXT}
    return {**_closed(properties), "required": ["error"]}


def _closed(properties: Mapping[str, Any]) -> Schema:
    """Return the schema of an object with all of these properties, and no others."""
    named = dict(properties)
    return {"type": "object", "properties": named, "required": list(named), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _many(reference: str, limits: Limits) -> Schema:
    return {**_list({"$ref": reference}), "minItems": 1, "maxItems": limits.records}


def _one_of(names: Iterable[str]) -> Schema:
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return references[0] if len(references) == 1 else {"oneOf": references}


def _media(content: Content) -> Schema:
    return {media: {"schema": _one_of(names)} for media, names in content.items()}


def _error_body(description: str) -> Schema:
    content = {**_media(as_json("Error"))["application/json"], "example": {"error": description}}
    return _body(description, {"application/json": content})


def _body(description: str, content: Schema) -> Schema:
    return {"description": description, "content": content}
