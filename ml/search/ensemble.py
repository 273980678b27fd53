"""A blend of families: which of them, how much of each, and what it is worth.

Greedy selection with replacement, after Caruana, Niculescu-Mizil, Crew and Ksikes, Ensemble Selection from Libraries of
Models, ICML 2004: the family whose addition scores best is added again and again; its weight is how often it was. The
best number of additions counts, so the blend is never worse than its best member on the rows that it is selected on.
That makes its score on them too good. It is therefore judged on rows that its weights have not seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml.models.family import FittedModel
from ml.models.joined import all_thresholds, joined, side_by_side
from ml.search.tuning import TunedModel
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, Task, score

if TYPE_CHECKING:
    import onnx

NAME = "ensemble"


@dataclass(frozen=True)
class Selection:
    """The weights, which sum to 1, and the path to them: each family that was added, and the score of the sum then."""

    weights: Mapping[str, float]
    path: tuple[tuple[str, float], ...]
    rows: int
    out_of_fold: bool


@dataclass(frozen=True)
class Member:
    """A model of the blend and its share."""

    name: str
    weight: float
    model: FittedModel


@dataclass(frozen=True)
class FittedEnsemble:
    """The weighted mean of its members' answers to rows of `features` columns."""

    members: tuple[Member, ...]
    features: int
    task: Task

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return answers as those of the members, float64 [n_rows] or [n_rows, n_classes]."""
        answers: np.ndarray = np.sum([member.weight * member.model.predict(X) for member in self.members], axis=0)
        return answers

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values at which the answer of some member jumps."""
        return all_thresholds(member.model for member in self.members)

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
        nodes.append(helper.make_node("Sum", shares, ["score"], name="blend"))
        return joined(NAME, parts, nodes, self.features, (kind, self.task.outputs))


def blend(
    tuned: Mapping[str, TunedModel],
    y_train: np.ndarray,
    y_valid: np.ndarray,
    *,
    rounds: int,
    counting: tuple[Counting, Counting] = (EQUALLY, EQUALLY),
) -> tuple[TunedModel, Selection]:
    """Blend the families into a model like any other, and return how it was selected.

    The metric goes by how rows of train and of validation are `counting`.

    Where all families have out-of-fold predictions, it is selected on the rows that all of them have some for, and
    its score is that on validation. Otherwise it is selected on validation, and its score is cross-fitted: that of
    answers by weights selected on one half of these rows for the other half. Raises ValueError if the families do not
    share one encoder, metric and task.
    """
    if len(shared := {(repr(model.encoder.to_dict()), model.metric, model.task) for model in tuned.values()}) > 1:
        raise ValueError(
            f"The {len(tuned)} families {sorted(tuned)} have {len(shared)} different encoders, metrics or tasks. An "
            "ensemble needs one: declare the same `refit` for all."
        )
    first = next(iter(tuned.values()))
    valid = {name: model.valid_predictions for name, model in tuned.items()}
    held_out = {name: model.oof_predictions for name, model in tuned.items() if model.oof_predictions is not None}
    folded = len(held_out) == len(tuned)
    seen = _answered(held_out.values(), len(y_train)) if folded else np.ones(len(y_valid), bool)
    answers, y = ({name: p[seen] for name, p in held_out.items()}, y_train[seen]) if folded else (valid, y_valid)
    learned, watched = counting
    weights, path = select(answers, y, first.metric, rounds, learned.at(seen) if folded else watched)
    blended = weighted_mean(valid, weights)
    judged = blended if folded else cross_fitted(valid, y_valid, first.metric, rounds, watched)
    members = tuple(Member(name, weight, tuned[name].model) for name, weight in weights.items())
    ensemble = TunedModel(
        family=NAME,
        params=weights,
        model=FittedEnsemble(members, len(first.encoder.features), first.task),
        encoder=first.encoder,
        metric=first.metric,
        score=score(first.metric, y_valid, judged, watched),
        trials=(),
        best_trial=0,
        task=first.task,
        valid_predictions=blended,
    )
    return ensemble, Selection(weights, path, len(y), folded)


def select(
    predictions: Mapping[str, np.ndarray],
    y: np.ndarray,
    metric: str,
    rounds: int,
    counting: Counting = EQUALLY,
) -> tuple[dict[str, float], tuple[tuple[str, float], ...]]:
    """Return the weights of the families that were added, by name, and the path of additions.

    Of additions that score the same the first by name is taken, and of numbers of additions the smallest.
    """
    sign, names = Metric.named(metric).sign, sorted(predictions)
    total: np.ndarray = np.zeros_like(predictions[names[0]])
    path: list[tuple[str, float]] = []
    for added in range(1, rounds + 1):
        scores = {name: score(metric, y, (total + predictions[name]) / added, counting) for name in names}
        if wrong := sorted(name for name, value in scores.items() if not math.isfinite(value)):
            raise ValueError(f"The {metric} of {wrong} is not a number on the {len(y)} rows of the selection.")
        best = max(names, key=lambda name: sign * scores[name])
        total = total + predictions[best]
        path.append((best, scores[best]))
    taken = max(range(rounds), key=lambda place: sign * path[place][1]) + 1
    counts = Counter(name for name, _ in path[:taken])
    return {name: counts[name] / taken for name in names if counts[name]}, tuple(path)


def cross_fitted(
    predictions: Mapping[str, np.ndarray],
    y: np.ndarray,
    metric: str,
    rounds: int,
    counting: Counting = EQUALLY,
) -> np.ndarray:
    """Return answers to all rows, those of each half blended by weights that were selected on the other half.

    Of rows in the order of their labels every second one is in the same half: both have the same shares of classes. So
    is every second group, in the order of their mean labels, where rows are ranked within groups.
    """
    answers = np.empty_like(next(iter(predictions.values())))
    halves = _halves(y, counting.groups)
    for judged, learned in (halves, halves[::-1]):
        of_half = {name: p[learned] for name, p in predictions.items()}
        weights, _ = select(of_half, y[learned], metric, rounds, counting.at(learned))
        answers[judged] = weighted_mean(predictions, weights)[judged]
    return answers


def _halves(y: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows of both halves, of whole groups where there are some."""
    if groups is None:
        order = np.argsort(y, kind="stable")
        return order[::2], order[1::2]
    numbers = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(np.bincount(numbers, y) / np.bincount(numbers), kind="stable")
    in_second = np.isin(numbers, order[1::2])
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)


def weighted_mean(predictions: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Return the blend of the families' answers."""
    mean: np.ndarray = np.sum([weight * predictions[name] for name, weight in weights.items()], axis=0)
    return mean


def _answered(predictions: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Return a mask of the rows that all predictions answer."""
    missing = [np.isnan(p).reshape(rows, -1).any(axis=1) for p in predictions]
    answered: np.ndarray = ~np.any(missing, axis=0)
    return answered
