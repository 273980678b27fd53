"""Several fitted models over the same rows: their ONNX graphs side by side, and the answers to several targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml.models.family import IR_VERSION, OPSETS, FittedModel, thresholds_of

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class FittedTargets:
    """A model of each of several targets, by its name, over rows of `features` columns."""

    models: Mapping[str, FittedModel]
    features: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the answers to each target, float64 [n_rows, n_targets]."""
        return np.stack([model.predict(X) for model in self.models.values()], axis=1)

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values at which the answer to some target jumps."""
        return all_thresholds(self.models.values())

    def to_onnx(self) -> onnx.ModelProto:
        """Return the models' graphs side by side, over one `X`, and what they answer as the columns of `score`."""
        from onnx import TensorProto, helper

        parts = side_by_side({f"target_{place}": model for place, model in enumerate(self.models.values())})
        nodes = [node for part in parts for node in part.graph.node]
        answers = [f"answer_{place}" for place in range(len(parts))]
        for part, answer in zip(parts, answers, strict=True):  # some family may answer in double
            nodes.append(helper.make_node("Cast", [part.graph.output[0].name], [answer], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Concat", answers, ["score"], name="targets", axis=1))
        return joined("targets", parts, nodes, self.features, (TensorProto.FLOAT, len(answers)))


def all_thresholds(models: Iterable[FittedModel]) -> dict[int, np.ndarray]:
    """Return, per numeric column, the float32 values at which the answer of some model jumps."""
    values: dict[int, list[np.ndarray]] = {}
    for model in models:
        for column, thresholds in thresholds_of(model).items():
            values.setdefault(column, []).append(thresholds)
    return {column: np.unique(np.concatenate(parts)) for column, parts in sorted(values.items())}


def side_by_side(models: Mapping[str, FittedModel]) -> list[onnx.ModelProto]:
    """Return the graphs of models, each with its name before all of its own."""
    from onnx import compose

    return [compose.add_prefix(model.to_onnx(), f"{name}_") for name, model in models.items()]


def joined(
    name: str,
    parts: Sequence[onnx.ModelProto],
    nodes: Sequence[onnx.NodeProto],
    features: int,
    answer: tuple[int, int],
) -> onnx.ModelProto:
    """Return one graph over `X` [n_rows, features], which each part reads, of `nodes` that lead to `score`.

    The `answer` is of a type of numbers, and has so many for a row.
    """
    from onnx import TensorProto, helper

    kind, width = answer
    inputs = [helper.make_node("Identity", ["X"], [part.graph.input[0].name]) for part in parts]
    graph = helper.make_graph(
        [*inputs, *nodes],
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("score", kind, ["rows", width])],
        initializer=[tensor for part in parts for tensor in part.graph.initializer],
    )
    opsets = {opset.domain: opset.version for part in parts for opset in part.opset_import} | OPSETS
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
        functions=[function for part in parts for function in part.functions],
        ir_version=IR_VERSION,
    )
