"""The weighted mean of fitted models, which is a model like any other: it answers, and is one ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml.models.additive import Additive, additive_of
from ml.models.additive import mean_of as mean_of_sums
from ml.models.family import FittedModel
from ml.models.joined import all_thresholds, joined, side_by_side
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import score
from ml.tasks.task import Task

if TYPE_CHECKING:
    import onnx

LEAST = 1e-6  # a smaller probability counts as this one before it is raised to a power
SHARPNESS = (0.7, 2.0)  # below, the last digit of a float32 near 1 would become a difference above 1e-5


@dataclass(frozen=True)
class Member:
    """A model of the blend and its share."""

    name: str
    weight: float
    model: FittedModel


@dataclass(frozen=True)
class FittedEnsemble:
    """The weighted mean of its members' answers to rows of `features` columns; probabilities have a `sharpness`."""

    members: tuple[Member, ...]
    features: int
    task: Task
    sharpness: float = 1.0

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return answers as those of the members, float64 [n_rows] or [n_rows, n_classes]."""
        answers: np.ndarray = np.sum([member.weight * member.model.predict(X) for member in self.members], axis=0)
        return sharpened(answers, self.sharpness)

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values at which the answer of some member jumps."""
        return all_thresholds(member.model for member in self.members)

    def additive(self) -> Additive | None:
        """Return the mean of the members' sums; None where some answer is none, or the mean is sharpened."""
        parts = [(member.weight, additive_of(member.model)) for member in self.members]
        return mean_of_sums(parts) if self.sharpness == 1 else None

    def to_onnx(self) -> onnx.ModelProto:
        """Return the members' graphs side by side, over one `X`, and the weighted sum of what they answer."""
        from onnx import TensorProto, helper

        parts = side_by_side({member.name: member.model for member in self.members})
        numbers, nodes = self.task.kind == "regression", []
        shares, kind = [], TensorProto.DOUBLE if numbers else TensorProto.FLOAT
        for member, part in zip(self.members, parts, strict=True):
            answer, weight, share = part.graph.output[0].name, f"{member.name}_weight", f"{member.name}_share"
            part.graph.initializer.append(helper.make_tensor(weight, kind, [], [member.weight]))
            nodes += part.graph.node
            if numbers:
                nodes.append(helper.make_node("Cast", [answer], [answer := f"{member.name}_answer"], to=kind))
            nodes.append(helper.make_node("Mul", [answer, weight], [share]))
            shares.append(share)
        parts[0].graph.initializer.extend(self._constants())
        return joined("ensemble", parts, [*nodes, *self._blend(shares)], self.features, (kind, self.task.outputs))

    def _blend(self, shares: Sequence[str]) -> list[onnx.NodeProto]:
        """Return the nodes from the members' shares to the score."""
        from onnx import helper

        if self.sharpness == 1:
            return [helper.make_node("Sum", shares, ["score"], name="blend")]
        nodes = [helper.make_node("Sum", shares, ["mean"], name="blend")]
        binary = self.task.kind == "binary"
        if binary:
            nodes.append(helper.make_node("Sub", ["one", "mean"], ["rest"]))
            nodes.append(helper.make_node("Concat", ["rest", "mean"], ["both"], axis=1))
        nodes += [
            helper.make_node("Max", ["both" if binary else "mean", "least"], ["floored"]),
            helper.make_node("Log", ["floored"], ["logarithms"]),
            helper.make_node("Mul", ["logarithms", "sharpness"], ["powers"]),
            helper.make_node("Softmax", ["powers"], ["sharpened" if binary else "score"], axis=1),
        ]
        return [*nodes, helper.make_node("Gather", ["sharpened", "positive"], ["score"], axis=1)] if binary else nodes

    def _constants(self) -> list[onnx.TensorProto]:
        """Return the tensors that `_blend` names."""
        from onnx import TensorProto, helper

        if self.sharpness == 1:
            return []
        numbers = {"least": LEAST, "sharpness": self.sharpness, "one": 1.0}
        constants = [helper.make_tensor(name, TensorProto.FLOAT, [], [number]) for name, number in numbers.items()]
        return [*constants, helper.make_tensor("positive", TensorProto.INT64, [1], [1])]


def sharpened(p: np.ndarray, sharpness: float) -> np.ndarray:
    """Return probabilities, [n_rows] or [n_rows, n_classes], to the power of `sharpness`, which sum to 1 again.

    Above 1 they are surer, below 1 less so (temperature scaling: Guo et al. 2017, ICML); their order is the same.
    """
    if sharpness == 1:
        return p
    of_all = np.stack([1 - p, p], axis=1) if p.ndim == 1 else p
    powers = np.maximum(of_all, LEAST) ** sharpness
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares[:, 1] if p.ndim == 1 else shares


def fit_sharpness(y: np.ndarray, p: np.ndarray, counting: Counting = EQUALLY) -> float:
    """Return the sharpness, 0.7 to 2, with which probabilities have the least log loss, to three digits."""
    from scipy.optimize import minimize_scalar

    def loss(sharpness: float) -> float:
        return score("log_loss", y, sharpened(p, sharpness), counting)

    best = minimize_scalar(loss, bounds=SHARPNESS, method="bounded")
    return round(float(best.x), 3)


def mean_of(models: Sequence[FittedModel], features: int, task: Task) -> FittedModel:
    """Return the model that answers the mean of what some answer; that model itself if it is one."""
    members = tuple(Member(f"seed_{number}", 1 / len(models), model) for number, model in enumerate(models))
    return FittedEnsemble(members, features, task) if len(models) > 1 else models[0]
