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

from ml.models.additive import LOGARITHM, NUMBER, Additive, additive_of

if TYPE_CHECKING:
    import onnx

    from ml.models.family import Family, FittedModel, Training
    from ml.tasks.transforms import Transform

FAR = 10  # standard deviations from zero to the mean
LARGE = 2.0**40  # a standard deviation, or its reciprocal, whose powers float32 might not hold
FAR_FROM_ONE = 6  # powers of two: beyond them exponentials in float32 lose digits, and some libraries all of them
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
        return replace(data, y=y, y_valid=y_valid, objective=data.objective.scaled(self.scale)) if self else data

    def back(self, answers: np.ndarray) -> np.ndarray:
        """Return answers to the targets that were declared."""
        moved: np.ndarray = answers * self.scale + self.offset
        return moved


def move_of(data: Training, near_zero: bool | None) -> Move:
    """Return the move for the targets of the training rows.

    Those of a regression lose their mean (or what else is best by the objective, near which answers lie) where
    `near_zero` is True, and a tiny spread becomes one of about 1. Where it is None they do if they are far from zero,
    or beyond what float32 holds. Where it is False nothing of them is changed, as it is of classes. Of an objective
    whose numbers are positive a mean far from 1 becomes one near it.
    """
    if data.task.kind != "regression" or near_zero is False:
        return Move()
    if data.objective.link == "log":
        level = math.log2(data.y.mean())
        return Move(scale=2.0 ** round(level)) if abs(level) > FAR_FROM_ONE else Move()
    center, spread = data.objective.trivial(data.y), float(data.y.std())
    offset = center if abs(center) > (FAR if near_zero is None else 1e-6) * spread else 0.0
    extreme = not (SMALL if near_zero else 1 / LARGE) < spread < LARGE
    return Move(offset, 2.0 ** round(math.log2(spread)) if extreme and spread > 0 else 1.0)


@dataclass(frozen=True)
class Wrapped:
    """A fitted model of numbers whose answers are computed on, in double; it has whatever else the model has."""

    model: FittedModel

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return numbers, float64 [n_rows]."""
        return self.back(self.model.predict(X))

    def back(self, answers: np.ndarray) -> np.ndarray:
        """Return the numbers of the model's answers."""
        raise NotImplementedError

    def nodes(self) -> tuple[list[onnx.NodeProto], Mapping[str, float]]:
        """Return the nodes from `in_double` to `score` that do the same, and the numbers that they take."""
        raise NotImplementedError

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model's graph with a `score` in double."""
        from onnx import TensorProto, compose, helper

        whole: onnx.ModelProto = compose.add_prefix(self.model.to_onnx(), "near_")
        graph = whole.graph
        (taken,), (answered,) = graph.input, graph.output
        last, numbers = self.nodes()
        nodes = [
            helper.make_node("Identity", ["X"], [taken.name], name="as_given"),
            *graph.node,
            helper.make_node("Cast", [answered.name], ["in_double"], name="to_double", to=TensorProto.DOUBLE),
            *last,
        ]
        for name, value in numbers.items():
            graph.initializer.append(helper.make_tensor(name, TensorProto.DOUBLE, [], [value]))
        taken.name = "X"
        score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["rows", 1])
        whole.graph.CopyFrom(helper.make_graph(nodes, "near_zero", [taken], [score], initializer=graph.initializer))
        return whole

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "model" not in vars(self):  # as while it is unpickled
            raise AttributeError(name)
        return getattr(self.model, name)


@dataclass(frozen=True)
class Moved(Wrapped):
    """A fitted model whose answers are moved back."""

    move: Move

    def back(self, answers: np.ndarray) -> np.ndarray:
        """Return answers to the targets that were declared."""
        return self.move.back(answers)

    def nodes(self) -> tuple[list[onnx.NodeProto], Mapping[str, float]]:
        """Return the product with the scale, and the sum with the offset."""
        from onnx import helper

        nodes = [
            helper.make_node("Mul", ["in_double", "scale"], ["scaled"], name="times_scale"),
            helper.make_node("Add", ["scaled", "offset"], ["score"], name="plus_offset"),
        ]
        return nodes, {"scale": self.move.scale, "offset": self.move.offset}

    def additive(self) -> Additive | None:
        """Return the sum that the model's answers are made of, moved back; None where it tells none."""
        learned = additive_of(self.model)
        if learned is None or (learned.space != NUMBER and self.move.offset):
            return None
        if learned.space == NUMBER:
            return learned.scaled(self.move.scale, self.move.offset)
        base = tuple(number + math.log(self.move.scale) for number in learned.base)
        return replace(learned, base=base) if learned.space == LOGARITHM else None


@dataclass(frozen=True)
class Transformed(Wrapped):
    """A fitted model of transformed targets, whose answers are the numbers themselves."""

    transform: Transform

    def additive(self) -> Additive | None:
        """Return the sum that the learned numbers are; None where they are none."""
        learned = additive_of(self.model)
        if learned is None or learned.space != NUMBER:
            return None
        answer = learned.answer
        return replace(
            learned, space=f"{self.transform} of the number", answer=lambda sums: self.transform.inverse(answer(sums))
        )

    def back(self, answers: np.ndarray) -> np.ndarray:
        """Return the numbers of which the model has learned the transform."""
        return self.transform.inverse(answers)

    def nodes(self) -> tuple[list[onnx.NodeProto], Mapping[str, float]]:
        """Return the power of the base less what was added, or the square."""
        from onnx import helper

        if self.transform.base is None:
            nodes = [
                helper.make_node("Max", ["in_double", "zero"], ["root"], name="no_root_below_zero"),
                helper.make_node("Mul", ["root", "root"], ["score"], name="square"),
            ]
            return nodes, {"zero": 0.0}
        nodes = [
            helper.make_node("Mul", ["in_double", "log_of_base"], ["exponent"], name="exponent"),
            helper.make_node("Exp", ["exponent"], ["power"], name="power"),
            helper.make_node("Sub", ["power", "more"], ["score"], name="less_what_was_added"),
        ]
        return nodes, {"log_of_base": math.log(self.transform.base), "more": self.transform.more}


def moving_fit(fit: Callable[..., FittedModel]) -> Callable[..., FittedModel]:
    """Let a family's `fit` learn the transform of the targets, and numbers near zero."""

    @wraps(fit)
    def moved(self: Family, data: Training, params: Mapping[str, Any], **more: Any) -> FittedModel:
        if data.objective.kind not in self.objectives:
            allowed = list(self.objectives)
            raise ValueError(f"The family {self.name!r} cannot learn by {data.objective.name!r}. It allows {allowed}.")
        kind, name = data.objective.kind, data.objective.name
        if data.monotone and kind in self.unlike_monotone:
            raise ValueError(f"The family {self.name!r} cannot keep to monotone features by {name!r}: declare another.")
        if data.weights and kind in self.unweighed:
            raise ValueError(f"The family {self.name!r} cannot go by weights and {name!r}: declare another.")
        transform, data = data.transform, _transformed(data)
        move = move_of(data, self.near_zero)
        model = fit(self, move.there(data), params, **more)
        model = Moved(model, move) if move else model
        return Transformed(model, transform) if transform else model

    return moved


def _transformed(data: Training) -> Training:
    """Return the same rows with the targets that are learned."""
    if data.transform is None:
        return data
    y, y_valid = (data.transform.forward(targets) for targets in (data.y, data.y_valid))
    return replace(data, y=y, y_valid=y_valid, transform=None)


def moving_prepare(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Let a family's `prepare` see the targets that its `fit` learns."""

    @wraps(prepare)
    def moved(self: Family, data: Training) -> Any:
        data = _transformed(data)
        return prepare(self, move_of(data, self.near_zero).there(data))

    return moved


def unmoved_settled(settled: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Let a family's `settled` see the model that its `fit` made."""

    @wraps(settled)
    def unmoved(self: Family, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        while isinstance(model, Wrapped):
            model = model.model
        return settled(self, settings, model)

    return unmoved
