"""Inference: what the methods of the V2 protocol answer, by the same functions as in HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from service.http.batch import ROOMS
from service.http.bodies import BodyError
from service.http.kserve import check_name, check_outputs, metadata, name_of, server
from service.http.scoring import INLINE_RECORDS, score_rows
from service.http.served import Served
from service.http.tensors import MISSING, Tensor, flag, output_tensors, packed, rows_of, unpacked, without_empty
from service.http.version import Version
from service.predict.predictor import Predictor
from service.predict.rows import Scored
from service.records.reader import excerpt
from service.rpc.messages import message_classes

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
KINDS = {
    "bool_contents": np.bool_,
    "int_contents": np.int32,
    "int64_contents": np.int64,
    "uint_contents": np.uint32,
    "uint64_contents": np.uint64,
    "fp32_contents": np.float32,
    "fp64_contents": np.float64,
}


class Inference:
    """The methods of the protocol over what is `served`; each takes its request and returns its response.

    They raise what a request is refused by, and HTTPException while nothing is served.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self._classes = message_classes()

    async def ServerLive(self, _: Any) -> Any:  # noqa: N802 - the protocol's name, as those below
        """Say that the process is up."""
        return self._classes["ServerLiveResponse"](live=True)

    async def ServerReady(self, _: Any) -> Any:  # noqa: N802
        """Say whether the model answers."""
        return self._classes["ServerReadyResponse"](ready=self.served.not_ready is None)

    async def ModelReady(self, request: Any) -> Any:  # noqa: N802
        """Say whether the model answers, by its name."""
        ready = self.served.not_ready is None
        if ready:
            self._version(request.name, request.version)
        return self._classes["ModelReadyResponse"](ready=ready)

    async def ServerMetadata(self, _: Any) -> Any:  # noqa: N802
        """Describe the server."""
        return self._classes["ServerMetadataResponse"](**server())

    async def ModelMetadata(self, request: Any) -> Any:  # noqa: N802
        """Describe the model."""
        return self._classes["ModelMetadataResponse"](
            **metadata(self._version(request.name, request.version).predictor)
        )

    async def ModelInfer(self, request: Any) -> Any:  # noqa: N802
        """Answer the rows of tensors."""
        served = self.served
        version, deadline = self._version(request.model_name, request.model_version), served.limits.deadline()
        predictor = version.predictor
        wanted = check_outputs([output.name for output in request.outputs], predictor)
        limits, raw = served.limits, bool(request.raw_input_contents)
        with served.room.take(request.ByteSize(), ROOMS * limits.batch_bytes):
            rows = rows_of(tensors_of(request), predictor.plan, limits.batch_rows)
            scored = await score_rows(served, version, rows, deadline)
            answer = partial(self._response, predictor, scored, request.id, wanted, raw)
            return answer() if len(rows) <= INLINE_RECORDS else await served.threads.run(None, answer)

    def _version(self, name: str, wanted: str) -> Version:
        return check_name(self.served.require_version(), name, wanted)

    def _response(self, predictor: Predictor, scored: Scored, identifier: str, wanted: Sequence[str], raw: bool) -> Any:
        name, version = name_of(predictor)
        response = self._classes["ModelInferResponse"](model_name=name, model_version=version, id=identifier)
        for tensor in output_tensors(predictor, scored):
            if tensor.name not in wanted:
                continue
            output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            if raw:
                response.raw_output_contents.append(packed(tensor))
            elif tensor.datatype == "BYTES":
                output.contents.bytes_contents.extend(text.encode() for text in tensor.values)
            else:
                getattr(output.contents, CONTENTS[tensor.datatype]).extend(np.ravel(tensor.values).tolist())
        return response


def tensors_of(request: Any) -> list[Tensor]:
    """Return the inputs of a request with their values; raises BodyError where those are not there."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise BodyError(
            400, f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents; send one for each"
        )
    of_request = flag(parameters_of(request.parameters), MISSING, False)
    tensors = []
    for place, tensor in enumerate(request.inputs):
        empty = flag(parameters_of(tensor.parameters), MISSING, of_request)
        shape = list(tensor.shape)
        if any(length < 0 for length in shape):
            raise BodyError(400, f"the input {excerpt(tensor.name)!r} has the shape {shape[:8]}")
        if raw and tensor.HasField("contents"):
            raise BodyError(
                400, f"the input {excerpt(tensor.name)!r} has contents, and raw_input_contents, too; send one of them"
            )
        if raw:
            values: Any = unpacked(tensor.name, tensor.datatype, shape, memoryview(raw[place]), empty)
        else:
            values = _contents(tensor, empty)
        tensors.append(Tensor(tensor.name, tensor.datatype, shape, values))
    return tensors


def _contents(tensor: Any, empty_is_missing: bool) -> Any:
    """Return the typed contents of a tensor."""
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        allowed = ", ".join(CONTENTS)
        raise BodyError(400, f"the input {excerpt(tensor.name)!r} is {excerpt(tensor.datatype)}; allowed: {allowed}")
    values = getattr(tensor.contents, field)
    if tensor.datatype != "BYTES":
        return np.array(values, KINDS[field])  # a number beyond its datatype stays what it is, as in JSON
    try:
        texts: list[Any] = [value.decode() for value in values]
    except UnicodeDecodeError:
        raise BodyError(400, f"the input {excerpt(tensor.name)!r} holds a text that is not UTF-8") from None
    return without_empty(texts) if empty_is_missing else texts


def parameters_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request or of a tensor by their names."""
    return {
        name: getattr(parameter, choice)
        for name, parameter in parameters.items()
        if (choice := parameter.WhichOneof("parameter_choice")) is not None
    }
