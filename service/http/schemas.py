"""Schemas: what the protocols beside the native one take and answer, in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from service.http.limits import Limits
from service.http.tensors import MISSING, OF_KIND, TYPES
from service.plan.document import Plan

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
PARAMETERS: Schema = {"type": "object"}


def protocol_schemas(plan: Plan, limits: Limits) -> dict[str, Schema]:
    """Return the schemas of tables, of the V2 protocol, and of MLflow's forms."""
    columns = ", ".join(f"{name} ({kind})" for name, kind in sorted(plan.record.items()))
    rows = f"at most {limits.batch_rows} rows"
    return {
        "Table": _bytes(f"A table with columns of a record, {rows}: {columns}. One that is left out is missing"),
        "AnswerTable": _bytes("A table with a row for each: the answers, and warnings, a list of texts"),
        "Tensors": _bytes(
            "A request, or an answer, in JSON, of inference-header-content-length bytes; then the tensors whose "
            "parameters have binary_data_size"
        ),
        "Inference": _inference(plan),
        "Inferred": _inferred(),
        "Frame": _frame(),
        "Predictions": _object({"predictions": {"type": "array", "items": {"type": "object"}}}, ["predictions"]),
    }


def _bytes(description: str) -> Schema:
    return {"type": "string", "format": "binary", "description": description}


def _inference(plan: Plan) -> Schema:
    tensors = [
        _object(
            {
                "name": {"const": name},
                "datatype": {"enum": list(OF_KIND[kind])},
                "shape": _shape(),
                "parameters": PARAMETERS,
                "data": {"type": "array"},
            },
            ["name", "datatype", "shape"],
        )
        for name, kind in sorted(plan.record.items())
    ]
    wanted = _object({"name": TEXT, "parameters": PARAMETERS}, ["name"])
    described = f"{MISSING}: whether an empty text is a missing value; binary_data_output: whether to answer in binary"
    return _object(
        {
            "id": TEXT,
            "inputs": {"type": "array", "minItems": 1, "items": {"oneOf": tensors} if tensors else {}},
            "outputs": {"type": "array", "items": wanted},
            "parameters": {**PARAMETERS, "description": described},
        },
        ["inputs"],
    )


def _inferred() -> Schema:
    tensor = {
        "name": TEXT,
        "datatype": {"enum": [*TYPES, "BYTES"]},
        "shape": _shape(),
        "data": {"type": "array"},
        "parameters": PARAMETERS,
    }
    outputs = {"type": "array", "items": _object(tensor, ["name", "datatype", "shape"])}
    names = {"model_name": TEXT, "model_version": TEXT, "id": TEXT}
    return _object({**names, "outputs": outputs}, ["model_name", "model_version", "outputs"])


def _frame() -> Schema:
    listed: Schema = {"type": "array"}
    split = _object({"columns": {"type": "array", "items": TEXT}, "index": listed, "data": listed}, ["columns", "data"])
    forms = {
        "dataframe_split": split,
        "dataframe_records": listed,
        "instances": listed,
        "inputs": {"type": ["array", "object"]},
    }
    return {"oneOf": [_object({name: schema, "params": {}}, [name]) for name, schema in forms.items()]}


def _shape() -> Schema:
    return {"type": "array", "items": WHOLE}


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}
