"""The metadata of a model, which it carries beside its graph."""

from __future__ import annotations

from typing import Any

import msgspec

from service.plan.document import BundleError


def carried(session: Any, name: str, kind: Any, absent: str = "{}") -> Any:
    """Return what a session's model carries under a name, of a kind; one that carries nothing, what `absent` is.

    Raises BundleError for what cannot be read.
    """
    try:
        return msgspec.json.decode(session.get_modelmeta().custom_metadata_map.get(name, absent), type=kind)
    except msgspec.DecodeError as error:
        raise BundleError("model.onnx", [f"its metadata {name!r}: {error}"]) from None
