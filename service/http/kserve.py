"""The V2 protocol of KServe and Triton, also called the Open Inference Protocol, with its binary tensor data.

https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from service.frames.answers import RowsError
from service.http.batch import ROOMS, body_length, digits
from service.http.bodies import INLINE_BYTES, BodyError, decode, read_body
from service.http.endpoint import Endpoint, answer, as_json, encode, refuse
from service.http.limits import Limits
from service.http.routes import parts_of
from service.http.scoring import INLINE_RECORDS, REFUSED, refusal, score_rows
from service.http.served import Served
from service.http.tensors import (
    MISSING,
    Tensor,
    flag,
    flat,
    inputs,
    output_tensors,
    outputs,
    packed,
    rows_of,
    unpacked,
    without_empty,
)
from service.http.version import Version
from service.predict.predictor import Predictor
from service.predict.rows import Scored
from service.records.reader import InvalidRecords, excerpt

GROUP = "the protocol of KServe and Triton"
SERVER = "sextant"
PLATFORM = "sextant_onnx"
EXTENSIONS = ["binary_tensor_data"]
HEADER_LENGTH = "inference-header-content-length"
SIZE = "binary_data_size"
OCTETS = "application/octet-stream"
MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"

Parameters = dict[str, Any]


class Input(msgspec.Struct, frozen=True):
    """A tensor of a request, whose values are here or, in so many bytes, behind the JSON."""

    name: str
    datatype: str
    shape: list[Annotated[int, Meta(ge=0)]]
    data: list[Any] | None = None
    parameters: Parameters = msgspec.field(default_factory=dict)


class Output(msgspec.Struct, frozen=True):
    """A tensor that is asked for."""

    name: str
    parameters: Parameters = msgspec.field(default_factory=dict)


class Inference(msgspec.Struct, frozen=True):
    """A request to infer."""

    inputs: list[Input]
    outputs: list[Output] = []
    id: str | None = None
    parameters: Parameters = msgspec.field(default_factory=dict)


def endpoints(served: Served) -> list[Endpoint]:
    """Return the endpoints over what is `served`; until that is loaded, those about a model answer 503."""
    listed = [
        Endpoint("GET", "/v2", "the server, in the V2 protocol", _respond(lambda _: server())),
        Endpoint("GET", "/v2/health/live", "200 while the process is up", _respond(lambda _: {"live": True})),
        Endpoint("GET", "/v2/health/ready", "200 once the model answers", partial(_ready, served, None)),
    ]
    binary = {OCTETS: ("Tensors",)}
    for route in (MODEL, VERSION):

        def about(request: Request, route: str = route) -> dict[str, Any]:
            return metadata(_asked(served, route, request).predictor)

        which = "of this version" if route == VERSION else "of any version"
        ready, infer = f"{route}/ready", f"{route}/infer"
        takes, gives = {**as_json("Inference"), **binary}, {**as_json("Inferred"), **binary}
        listed += [
            Endpoint("GET", route, f"the inputs and outputs of the model, {which}", _respond(about)),
            Endpoint("GET", ready, f"200 once the model answers, {which}", partial(_ready, served, route)),
            Endpoint("POST", infer, f"the answers of the model, {which}", partial(_infer, served, route), takes, gives),
        ]
    return [replace(endpoint, group=GROUP, open=endpoint.path.startswith("/v2/health/")) for endpoint in listed]


def server() -> dict[str, Any]:
    """Return what the protocol says of a server."""
    return {"name": SERVER, "version": "2", "extensions": EXTENSIONS}


def metadata(predictor: Predictor) -> dict[str, Any]:
    """Return what the protocol says of a model."""
    name, version = name_of(predictor)
    described = {"inputs": inputs(predictor.plan), "outputs": outputs(predictor)}
    return {"name": name, "versions": [version], "platform": PLATFORM, **described}


def name_of(predictor: Predictor) -> tuple[str, str]:
    """Return the name and the version that a predictor is asked by."""
    name, _, version = predictor.name.rpartition(":")
    return name, version


def check_name(version: Version, name: str, wanted: str | None) -> Version:
    """Return the version that answers if it is asked by its name and number, or any; raises BodyError, 404, if not."""
    known, number = name_of(version.predictor)
    if name != known or (wanted and wanted != number):
        which = f"{excerpt(name)!r}{f', version {excerpt(wanted)!r}' if wanted else ''}"
        raise BodyError(404, f"there is no model {which}; {known!r}, version {number!r}, is served")
    return version


def _asked(served: Served, route: str, request: Request) -> Version:
    scope = request.scope
    parts = parts_of(route, scope["path"].removeprefix(scope.get("root_path", "")))
    return check_name(served.require_version(), parts["name"], parts.get("version"))


def _respond(content: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return answer(content(request))
        except BodyError as error:
            return refuse(error.status, str(error))

    return respond


async def _ready(served: Served, route: str | None, request: Request) -> Response:
    if served.not_ready is not None:
        return refuse(503, served.not_ready)
    try:
        model = {"name": name_of(_asked(served, route, request).predictor)[0]} if route else {}
    except BodyError as error:
        return refuse(error.status, str(error))
    return answer({**model, "ready": True})


async def _infer(served: Served, route: str, request: Request) -> Response:
    limits = served.limits
    deadline = limits.deadline()
    try:
        version = _asked(served, route, request)
        predictor = version.predictor
        with served.room.take(body_length(request, limits), ROOMS * limits.batch_bytes):
            inference, binary = await _read(served, request)
            wanted = _wanted(inference, predictor)
            rows = rows_of(tensors_of(inference, binary), predictor.plan, limits.batch_rows)
            scored = await score_rows(served, version, rows, deadline)
            if len(rows) <= INLINE_RECORDS:
                return _response(predictor, scored, inference, wanted)
            return await served.threads.run(None, _response, predictor, scored, inference, wanted)
    except REFUSED as error:
        message, status = in_words(error, limits)
        return refuse(status, message)


def in_words(error: Exception, limits: Limits) -> tuple[str, int]:
    """Return what a refused request is answered with, in one text as the protocol has it, and the status."""
    content, status = refusal(error, limits, "row", "scored")
    if isinstance(error, InvalidRecords):
        return f"{content['error']}\n{RowsError(error, 0)}", status
    return str(content["error"]), status


def check_outputs(names: Sequence[str], predictor: Predictor) -> Sequence[str]:
    """Return the names of the outputs to answer with, all where none is asked for; raises BodyError for another."""
    offered = [output["name"] for output in outputs(predictor)]
    if unknown := [excerpt(name) for name in names if name not in offered]:
        raise BodyError(400, f"unknown outputs {unknown[:20]}; the model has {', '.join(offered)}")
    return names or offered


async def _read(served: Served, request: Request) -> tuple[Inference, memoryview]:
    """Return a request, and the bytes behind its JSON."""
    limits, length = served.limits, request.headers.get(HEADER_LENGTH)
    most = limits.body_bytes if length is None else limits.batch_bytes
    body = memoryview(await read_body(request, limits, served.patience, most))
    head = len(body) if length is None else digits(length)
    if head is None or head > min(len(body), limits.body_bytes):
        raise BodyError(400, f"{HEADER_LENGTH} is {excerpt(length)!r}, and the body has {len(body)} bytes")
    content = bytes(body[:head])
    quick = head <= INLINE_BYTES
    value = decode(content) if quick else await served.threads.run(limits.in_threads, decode, content)
    try:
        return msgspec.convert(value, Inference), body[head:]
    except msgspec.ValidationError as error:
        raise BodyError(400, f"the request is none of the V2 protocol: {error}") from None


def tensors_of(inference: Inference, binary: memoryview) -> list[Tensor]:
    """Return the inputs of a request, with their values; raises BodyError where those are not there."""
    tensors, place = [], 0
    of_request = flag(inference.parameters, MISSING, False)
    for tensor in inference.inputs:
        about = tensor.parameters
        empty, size = (flag(about, MISSING, of_request), about.get(SIZE)) if about else (of_request, None)
        if (size is None) == (tensor.data is None):
            raise BodyError(400, f"the input {excerpt(tensor.name)!r} needs data or, as a parameter, {SIZE}")
        if tensor.data is not None:
            values: Any = flat(tensor.data)
            values = without_empty(values) if empty else values
        elif type(size) is int and 0 <= size <= len(binary) - place:
            content = binary[place : place + size]
            values = unpacked(tensor.name, tensor.datatype, tensor.shape, content, empty)
            place += size
        else:
            left = f"{len(binary) - place} bytes are left"
            raise BodyError(400, f"the input {excerpt(tensor.name)!r} has {SIZE} {excerpt(size)}, and {left}")
        tensors.append(Tensor(tensor.name, tensor.datatype, tensor.shape, values))
    if place != len(binary):
        raise BodyError(400, f"{len(binary) - place} bytes of the body belong to no input")
    return tensors


def _wanted(inference: Inference, predictor: Predictor) -> dict[str, bool]:
    """Return the outputs to answer with, and whether each as bytes; raises BodyError for what cannot be asked for."""
    everything = flag(inference.parameters, "binary_data_output", False)
    binary = {output.name: flag(output.parameters, "binary_data", everything) for output in inference.outputs}
    return {name: binary.get(name, everything) for name in check_outputs(list(binary), predictor)}


def _response(predictor: Predictor, scored: Scored, inference: Inference, wanted: Mapping[str, bool]) -> Response:
    name, version = name_of(predictor)
    listed, contents = [], []
    for tensor in output_tensors(predictor, scored):
        if tensor.name not in wanted:
            continue
        described = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if wanted[tensor.name]:
            contents.append(packed(tensor))
            listed.append({**described, "parameters": {SIZE: len(contents[-1])}})
        else:
            values = tensor.values if isinstance(tensor.values, list) else tensor.values.ravel().tolist()
            listed.append({**described, "data": values})
    about = {"id": inference.id} if inference.id else {}
    head = {"model_name": name, "model_version": version, **about, "outputs": listed}
    if not contents:
        return answer(head)
    written = encode(head)
    headers = {HEADER_LENGTH: str(len(written))}
    return Response(b"".join([written, *contents]), headers=headers, media_type=OCTETS)
