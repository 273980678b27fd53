"""Numbers near zero for every family to learn, of targets anywhere: float32 holds few digits far from it.

A family learns (target - offset) / scale. What it answers is moved back in double, in Python and as the last nodes of
the ONNX graph alike, so that no family and no float32 ever sees the offset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

    from ml.models.family import Family, FittedModel, Training

FAR = 10  # standard deviations from zero to the mean
LARGE = 2.0**40  # a standard deviation, or its reciprocal, whose powers float32 might not hold
SMALL = 2.0**-6  # one below which libraries take what a split gains for nothing: XGBoost below 1e-6, of squares


@dataclass(frozen=True)
class Move:
    """The way back from what a family learns: times `scale`, a power of two, plus `offset`."""

    offset: float = 0.0
    scale: float = 1.0

    def __bool__(self) -> bool:
        return self != Move()

    def there(self, data: Training) -> Training:
        """Return the same rows with the targets that a family learns."""
        y, y_valid = ((targets - self.offset) / self.scale for targets in (data.y, data.y_valid))
        return replace(data, y=y, y_valid=y_valid) if self else data

    def back(self, answers: np.ndarray) -> np.ndarray:
        """Return answers to the targets that were declared."""
        moved: np.ndarray = answers * self.scale + self.offset
        return moved


def move_of(data: Training, near_zero: bool | None) -> Move:
    """Return the move for the targets of the training rows.

    Those of a regression lose their mean where `near_zero` is True, and a tiny spread becomes one of about 1. Where it
    is None they do if they are far from zero, or beyond what float32 holds. Where it is False nothing of them is
    changed, as it is of classes.
    """
    if data.task.kind != "regression" or near_zero is False:
        return Move()
    mean, spread = float(data.y.mean()), float(data.y.std())
    offset = mean if abs(mean) > (FAR if near_zero is None else 1e-6) * spread else 0.0
    extreme = not (SMALL if near_zero else 1 / LARGE) < spread < LARGE
    return Move(offset, 2.0 ** round(math.log2(spread)) if extreme and spread > 0 else 1.0)


@dataclass(frozen=True)
class Moved:
    """A fitted model whose answers are moved back; it has whatever else the model has."""

    model: FittedModel
    move: Move

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return numbers, float64 [n_rows]."""
        return self.move.back(self.model.predict(X))

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model's graph with a `score` in double."""
        from onnx import TensorProto, compose, helper

        whole: onnx.ModelProto = compose.add_prefix(self.model.to_onnx(), "near_")
        graph = whole.graph
        (taken,), (near_zero,) = graph.input, graph.output
        nodes = [
            helper.make_node("Identity", ["X"], [taken.name], name="as_given"),
            *graph.node,
            helper.make_node("Cast", [near_zero.name], ["in_double"], name="to_double", to=TensorProto.DOUBLE),
            helper.make_node("Mul", ["in_double", "scale"], ["scaled"], name="times_scale"),
            helper.make_node("Add", ["scaled", "offset"], ["score"], name="plus_offset"),
        ]
        for name, value in (("scale", self.move.scale), ("offset", self.move.offset)):
            graph.initializer.append(helper.make_tensor(name, TensorProto.DOUBLE, [], [value]))
        taken.name = "X"
        score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["rows", 1])
        whole.graph.CopyFrom(helper.make_graph(nodes, "near_zero", [taken], [score], initializer=graph.initializer))
        return whole

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "model" not in vars(self):  # as while it is unpickled
            raise AttributeError(name)
        return getattr(self.model, name)


def moving_fit(fit: Callable[..., FittedModel]) -> Callable[..., FittedModel]:
    """Let a family's `fit` learn targets near zero."""

    @wraps(fit)
    def moved(self: Family, data: Training, params: Mapping[str, Any], **more: Any) -> FittedModel:
        move = move_of(data, self.near_zero)
        model = fit(self, move.there(data), params, **more)
        return Moved(model, move) if move else model

    return moved


def moving_prepare(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Let a family's `prepare` see the targets that its `fit` learns."""

    @wraps(prepare)
    def moved(self: Family, data: Training) -> Any:
        return prepare(self, move_of(data, self.near_zero).there(data))

    return moved


def unmoved_settled(settled: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Let a family's `settled` see the model that its `fit` made."""

    @wraps(settled)
    def unmoved(self: Family, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        return settled(self, settings, model.model if isinstance(model, Moved) else model)

    return unmoved
