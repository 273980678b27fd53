"""Messages: those of the V2 protocol in gRPC, made of their definition when they are first needed.

The definition is the part of the Open Inference Protocol's that this service answers, with its numbers of fields
(https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

DEFINITION = """
message ServerLiveRequest {}
message ServerLiveResponse { bool live = 1; }
message ServerReadyRequest {}
message ServerReadyResponse { bool ready = 1; }
message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }
message ServerMetadataRequest {}
message ServerMetadataResponse { string name = 1; string version = 2; repeated string extensions = 3; }
message ModelMetadataRequest { string name = 1; string version = 2; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1;
  repeated string versions = 2;
  string platform = 3;
  repeated TensorMetadata inputs = 4;
  repeated TensorMetadata outputs = 5;
}
message InferParameter {
  oneof parameter_choice {
    bool bool_param = 1;
    int64 int64_param = 2;
    string string_param = 3;
    double double_param = 4;
    uint64 uint64_param = 5;
  }
}
message InferTensorContents {
  repeated bool bool_contents = 1;
  repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3;
  repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5;
  repeated float fp32_contents = 6;
  repeated double fp64_contents = 7;
  repeated bytes bytes_contents = 8;
}
message ModelInferRequest {
  message InferInputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4;
    InferTensorContents contents = 5;
  }
  message InferRequestedOutputTensor { string name = 1; map<string, InferParameter> parameters = 2; }
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferInputTensor inputs = 5;
  repeated InferRequestedOutputTensor outputs = 6;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4;
    InferTensorContents contents = 5;
  }
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
"""

ENTRY = "ParametersEntry"  # the only maps of the protocol are parameters
_WORD = re.compile(r"[\w.]+|[{}=;<>,]")


@cache
def message_classes() -> dict[str, Any]:
    """Return the class of each message by its name; they are in no pool that others use."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="sextant/inference.proto", package=PACKAGE, syntax="proto3")
    words = iter(_WORD.findall(DEFINITION))
    for word in words:
        assert word == "message"
        _fill(file.message_type.add(name=next(words)), f".{PACKAGE}", words)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [message.name for message in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names}


def _fill(message: Any, scope: str, words: Iterator[str]) -> None:
    """Add to a message what stands between its braces; a message within it is known by its name alone."""
    assert next(words) == "{"
    scope = f"{scope}.{message.name}"
    for word in words:
        if word == "}":
            return
        if word == "message":
            _fill(message.nested_type.add(name=next(words)), scope, words)
        elif word == "oneof":
            message.oneof_decl.add(name=next(words))
            assert next(words) == "{"
            while (word := next(words)) != "}":
                _field(message, scope, word, words).oneof_index = len(message.oneof_decl) - 1
        else:
            _field(message, scope, word, words)


def _field(message: Any, scope: str, word: str, words: Iterator[str]) -> Any:
    """Add a field, whose first word is given, and return it."""
    field = message.field.add()
    field.label = field.LABEL_REPEATED if word in ("repeated", "map") else field.LABEL_OPTIONAL
    if word == "map":
        assert [next(words) for _ in range(3)] == ["<", "string", ","]
        _add_entry(message, next(words))
        field.type, field.type_name = field.TYPE_MESSAGE, f"{scope}.{ENTRY}"
        assert next(words) == ">"
    else:
        kind = next(words) if word == "repeated" else word
        nested = any(kind == inner.name for inner in message.nested_type)
        _set_type(field, kind, scope if nested else f".{PACKAGE}")
    field.name = next(words)
    assert next(words) == "="
    field.number = int(next(words))
    assert next(words) == ";"
    return field


def _add_entry(message: Any, value: str) -> None:
    """Add a message for the entries of a map, as Protocol Buffers writes maps."""
    entry = message.nested_type.add(name=ENTRY)
    entry.options.map_entry = True
    for number, (name, kind) in enumerate({"key": "string", "value": value}.items(), start=1):
        _set_type(entry.field.add(name=name, number=number, label=1), kind, f".{PACKAGE}")


def _set_type(field: Any, kind: str, scope: str) -> None:
    """Set the type of a field: one of the language, in lower case, or a message in a scope."""
    if kind.islower():
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f"{scope}.{kind}"
