from __future__ import annotations

from typing import Any

import pytest

from service.rpc.messages import METHODS, PACKAGE, message_classes


def fields(descriptor: Any) -> dict[str, Any]:
    """Return what is sent of a message: the number, type and label of each field, and so of its messages."""
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            field.containing_oneof.name if field.containing_oneof else None,
            field.message_type.GetOptions().map_entry if field.message_type else None,
            fields(field.message_type) if field.message_type else None,
        )
        for field in descriptor.fields
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", ["Request", "Response"])
def test_messages_are_those_that_tritons_client_has(method: str, side: str) -> None:
    from tritonclient.grpc import service_pb2

    ours, theirs = message_classes()[f"{method}{side}"], getattr(service_pb2, f"{method}{side}")

    assert ours.DESCRIPTOR.full_name == theirs.DESCRIPTOR.full_name == f"{PACKAGE}.{method}{side}"
    assert fields(ours.DESCRIPTOR) == fields(theirs.DESCRIPTOR)


def test_parameters_are_a_map_of_choices() -> None:
    request = message_classes()["ModelInferRequest"]()

    request.parameters["empty_is_missing"].bool_param = True
    request.inputs.add(name="a", datatype="FP64", shape=[1]).contents.fp64_contents.append(0.5)

    read = type(request).FromString(request.SerializeToString())
    assert read.parameters["empty_is_missing"].WhichOneof("parameter_choice") == "bool_param"
    assert read == request
