"""The identity of an exported model: all that decides its answers, whichever run made it."""

from ml.base.hashing import hash_bytes, hash_json

KEPT = ("sextant.encoder", "sextant.definitions", "sextant.inputs", "sextant.task")


def answers_of(content: bytes) -> str:
    """Return the hash of an ONNX model's graph and weights, its encoder, its features and its task.

    Trained again on the same rows, a model has other bytes, which name the run that made it, but the same hash of this.
    Left out are the coordinates, the declaration, and what was measured of the model.
    """
    import onnx

    model = onnx.load_from_string(content)
    about = {entry.key: entry.value for entry in model.metadata_props if entry.key in KEPT}
    del model.metadata_props[:]
    return hash_json({"graph": hash_bytes(model.SerializeToString(deterministic=True)), **about})
