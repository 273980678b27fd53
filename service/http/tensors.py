"""Tensors: the inputs and outputs of the V2 protocol, one input for each column of a record.

What is missing is null in JSON and NaN among floats; where a request says `empty_is_missing`, an empty text is, too. An
input that is left out is missing in all rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.frames.times import parsed_us
from service.http.bodies import BodyError
from service.http.endpoint import encode
from service.plan.document import Plan
from service.plan.parts import ColumnType
from service.predict.predictor import Predictor
from service.predict.rows import Column, Scored
from service.records.reader import excerpt

TYPES = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
FLOATS = ("FP16", "FP32", "FP64")
OF_KIND: dict[ColumnType, Sequence[str]] = {  # the first one is that of the metadata
    "number": ("FP64", *(name for name in TYPES if name not in ("BOOL", "FP64"))),
    "flag": ("BOOL",),
    "text": ("BYTES",),
    "time": ("BYTES",),
}
MATRIX = "input"  # one tensor of all columns, where all are numbers
MISSING = "empty_is_missing"

Values = list[Any] | NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """An input or output: its values flat, in JSON's types or as an array."""

    name: str
    datatype: str
    shape: list[int]
    values: Values


class TensorRows:
    """The rows of input tensors."""

    def __init__(self, tensors: Sequence[Tensor], plan: Plan) -> None:
        self._columns = plan.columns
        self._values = {tensor.name: tensor.values for tensor in tensors}
        self._count = tensors[0].shape[0]

    def __len__(self) -> int:
        return self._count

    def columns(self, start: int, stop: int) -> Mapping[str, Column]:
        """Return the columns of some of the rows."""
        return {name: _column(values[start:stop], self._columns[name]) for name, values in self._values.items()}

    def records(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return some of the rows as a request would hold them in JSON."""
        listed = [_listed(values, places) for values in self._values.values()]
        return [dict(zip(self._values, row, strict=True)) for row in zip(*listed, strict=True)]


def rows_of(tensors: Sequence[Tensor], plan: Plan, most: int) -> TensorRows:
    """Return the rows of a request's inputs; raises BodyError, 400, where they are not those of a record."""
    if not tensors:
        raise BodyError(400, "there are no inputs; send a tensor for each column of a record")
    if len(tensors) == 1 and tensors[0].name == MATRIX and len(tensors[0].shape) == 2 and MATRIX not in plan.columns:
        tensors = _split(tensors[0], plan)
    columns, names = plan.columns, [tensor.name for tensor in tensors]
    if unknown := [excerpt(name) for name in names if name not in columns]:
        raise BodyError(400, f"unknown inputs {unknown[:20]}; the model takes {', '.join(sorted(columns))}")
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise BodyError(400, f"the inputs {repeated} are there more than once")
    for tensor in tensors:
        _check(tensor, columns[tensor.name])
    counts = {tensor.shape[0] for tensor in tensors}
    if len(counts) > 1:
        raise BodyError(400, f"the inputs have different numbers of rows: {sorted(counts)[:20]}")
    if max(counts) > most:
        raise BodyError(413, f"there are {max(counts)} rows; send at most {most} at a time")
    return TensorRows(tensors, plan)


def _check(tensor: Tensor, kind: ColumnType) -> None:
    shape = tensor.shape
    if tensor.datatype not in OF_KIND[kind]:
        allowed = " or ".join(OF_KIND[kind])
        raise BodyError(400, f"the input {tensor.name!r} is {excerpt(tensor.datatype)}; it may be {allowed}")
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise BodyError(400, f"the input {tensor.name!r} has the shape {shape[:8]}; it may be [n] or [n, 1]")
    if len(tensor.values) != shape[0]:
        raise BodyError(400, f"the input {tensor.name!r} has the shape {shape}, and {len(tensor.values)} values")


def _split(tensor: Tensor, plan: Plan) -> list[Tensor]:
    """Return the columns of a matrix whose columns are those of a record, in the order of the metadata."""
    others = sorted(name for name, kind in plan.record.items() if kind != "number")
    if others or tensor.datatype not in FLOATS:
        why = f"{', '.join(others)} are none" if others else f"{tensor.datatype} are none, FP32 or FP64 are"
        raise BodyError(400, f"one input for all columns is for numbers, and {why}; send an input for each")
    rows, width = tensor.shape
    if width != len(plan.record) or len(tensor.values) != rows * width:
        has = f"the shape {tensor.shape} and {len(tensor.values)} values"
        raise BodyError(400, f"the input has {has}; allowed: [n, {len(plan.record)}]")
    return [
        Tensor(name, tensor.datatype, [rows], tensor.values[position::width])
        for position, name in enumerate(plan.record)
    ]


def unpacked(name: str, datatype: str, shape: Sequence[int], content: memoryview, empty_is_missing: bool) -> Values:
    """Return the values of a binary tensor; raises BodyError where its bytes are not those of its type and shape."""
    count = 1
    for length in shape:
        count *= length
    if datatype == "BYTES":
        return _texts(name, content, count, empty_is_missing)
    if datatype not in TYPES:
        raise BodyError(400, f"the input {excerpt(name)!r} is {excerpt(datatype)}; allowed: BYTES, {', '.join(TYPES)}")
    kind = np.dtype(TYPES[datatype])
    if count * kind.itemsize != len(content):
        raise BodyError(
            400, f"the input {excerpt(name)!r} of {datatype} and shape {list(shape)[:8]} has {len(content)} bytes"
        )
    if datatype == "BOOL":
        return np.frombuffer(content, np.uint8).astype(np.bool_)
    return np.frombuffer(content, kind)


def _texts(name: str, content: memoryview, count: int, empty_is_missing: bool) -> list[str | None]:
    """Return texts, each of which comes behind the number of its bytes."""
    texts, place, data = list[str | None](), 0, bytes(content)
    try:
        while place < len(data):
            (length,) = struct.unpack_from("<I", data, place)
            place += 4 + length
            texts.append(data[place - length : place].decode())
    except (struct.error, UnicodeDecodeError):
        raise BodyError(400, f"the input {excerpt(name)!r} holds no UTF-8 behind its lengths") from None
    if place != len(data):
        raise BodyError(400, f"the input {excerpt(name)!r} has a text that is longer than what is left of its bytes")
    if len(texts) != count:
        raise BodyError(400, f"the input {excerpt(name)!r} holds {len(texts)} texts, and its shape has {count}")
    return without_empty(texts) if empty_is_missing else texts


def flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    """Return a parameter that is true or false; raises BodyError, 400, for one that is neither, such as a text."""
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise BodyError(400, f"the parameter {name} is {excerpt(value)!r}; it may be true or false")
    return value


def without_empty(values: list[Any]) -> list[Any]:
    """Return values of which empty texts are missing."""
    return [None if value == "" else value for value in values]


def packed(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor."""
    if tensor.datatype != "BYTES":
        return np.ascontiguousarray(tensor.values, TYPES[tensor.datatype]).tobytes()
    parts = list[bytes]()
    for text in tensor.values:
        encoded = text.encode()
        parts += (struct.pack("<I", len(encoded)), encoded)
    return b"".join(parts)


def flat(values: Iterable[Any]) -> list[Any]:
    """Return the values of nested lists in their order."""
    listed = list(values)
    while list in set(map(type, listed)):
        listed = [entry for value in listed for entry in (value if type(value) is list else [value])]
    return listed


def _listed(values: Values, places: Sequence[int]) -> list[Any]:
    """Return some values as JSON has them."""
    if isinstance(values, list):
        return values[places.start : places.stop] if isinstance(places, range) else [values[place] for place in places]
    chosen = values[np.asarray(places, np.int64)]
    if chosen.dtype.kind != "f":
        return list(chosen.tolist())
    return [None if value != value else value for value in chosen.tolist()]


def _column(values: Values, kind: ColumnType) -> Column:
    if not isinstance(values, list):
        return Column(values.astype(np.float64))
    if kind in ("number", "flag"):
        return _numbers(values, {bool} if kind == "flag" else {int, float})
    wrong = _others(values, {str})
    texts = np.empty(len(values), object)
    texts[:] = values if wrong is None else [value if type(value) is str else None for value in values]
    missing = np.array([text is None for text in texts])
    if kind == "text":
        return Column(texts, missing, wrong)
    times, doubtful = parsed_us(texts)
    return Column(times, missing, doubtful if wrong is None else wrong if doubtful is None else wrong | doubtful)


def _numbers(values: list[Any], types: set[type]) -> Column:
    wrong = _others(values, types)
    if wrong is None:
        try:
            return Column(np.array(values, np.float64))
        except OverflowError:
            wrong = np.array([value is not None and abs(value) > 1e300 for value in values])
    fine = [None if odd else value for value, odd in zip(values, wrong, strict=True)]
    return Column(np.array(fine, np.float64), doubtful=wrong)


def _others(values: list[Any], types: set[type]) -> NDArray[np.bool_] | None:
    """Return which values are there, and of none of some types; None: none is."""
    allowed = types | {type(None)}
    if set(map(type, values)) <= allowed:
        return None
    return np.array([type(value) not in allowed for value in values])


def output_tensors(predictor: Predictor, scored: Scored) -> list[Tensor]:
    """Return the answers to rows as the outputs that `outputs` describes."""
    task, scores, thresholds = predictor.plan.task, scored.scores, predictor.thresholds
    values: dict[str, Values] = {}
    if task.targets:
        values = {"probabilities": scores, "decisions": scores >= np.array(thresholds)}
    elif task.kind == "multiclass":
        classes = [task.classes[place] for place in scores.argmax(axis=1).tolist()]
        values = {"class": classes, "probabilities": scores}
    else:
        interval = predictor.model.interval
        around: dict[str, Any] = {} if interval is None else dict(interval.around(scores))
        values = {"score": scores, **around, **({"decision": scores >= thresholds[0]} if thresholds else {})}
    values["warnings"] = ["[]"] * len(scores)
    for place, warnings in scored.warned.items():
        values["warnings"][place] = encode(warnings).decode()
    described = outputs(predictor)
    return [
        Tensor(output["name"], output["datatype"], [len(scores), *output["shape"][1:]], values[output["name"]])
        for output in described
    ]


def inputs(plan: Plan) -> list[dict[str, Any]]:
    """Describe the inputs, as the metadata of a model does."""
    return [{"name": name, "datatype": OF_KIND[kind][0], "shape": [-1]} for name, kind in plan.record.items()]


def outputs(predictor: Predictor) -> list[dict[str, Any]]:
    """Describe the outputs, as the metadata of a model does; `warnings` are arrays of JSON."""
    task = predictor.plan.task
    several = [-1, len(task.targets or task.classes)]
    if task.targets:
        described = [("probabilities", "FP64", several), ("decisions", "BOOL", several)]
    elif task.kind == "multiclass":
        described = [("class", "BYTES", [-1]), ("probabilities", "FP64", several)]
    else:
        numbers = ["score", "lower", "upper"] if predictor.model.interval else ["score"]
        described = [(name, "FP64", [-1]) for name in numbers]
        described += [("decision", "BOOL", [-1])] if predictor.thresholds else []
    described.append(("warnings", "BYTES", [-1]))
    return [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in described]
