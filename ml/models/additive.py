"""Answers as sums: what of a fitted model can be explained exactly, because its parts add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.tasks.task import Task

if TYPE_CHECKING:
    from ml.models.trees.graph import Tree

NUMBER, PROBABILITY, LOG_ODDS, MARGIN, LOGARITHM = "number", "probability", "log-odds", "margin", "ln of the number"
Answer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class GrownTrees:
    """The sum of what trees add, times `scale`."""

    trees: Sequence[Tree]
    scale: float = 1.0

    def scaled(self, scale: float) -> GrownTrees:
        """Return the same, times a scale."""
        return replace(self, scale=self.scale * scale)


@dataclass(frozen=True)
class WeightedColumns:
    """The sum of weighted columns of an encoded matrix: first numbers, a missing one being its `fill`, then codes.

    `weights` [outputs, numbers], `levels` [outputs, codes of all categories in turn], of which each has `sizes` codes.
    A missing code weighs nothing.
    """

    fill: np.ndarray
    weights: np.ndarray
    sizes: tuple[int, ...]
    levels: np.ndarray

    def scaled(self, scale: float) -> WeightedColumns:
        """Return the same, times a scale."""
        return replace(self, weights=self.weights * scale, levels=self.levels * scale)


@dataclass(frozen=True)
class Additive:
    """A sum of terms and of `base`, a number for each output; `answer` makes answers of sums [n_rows, outputs].

    The `space` says in a word or two what the sum is.
    """

    space: str
    base: tuple[float, ...]
    terms: tuple[GrownTrees | WeightedColumns, ...]
    answer: Answer

    def scaled(self, scale: float, offset: float = 0.0) -> Additive:
        """Return the sum times a scale plus an offset."""
        base = tuple(number * scale + offset for number in self.base)
        return replace(self, base=base, terms=tuple(term.scaled(scale) for term in self.terms))


def additive_of(model: Any) -> Additive | None:
    """Return the sum that a model's answers are made of; None for one that tells none.

    A model may have `additive() -> Additive | None`.
    """
    additive = getattr(model, "additive", None)
    return additive() if additive else None


def of_task(
    terms: Sequence[GrownTrees | WeightedColumns], base: Sequence[float], task: Task, link: str = "margin"
) -> Additive:
    """Return a sum that is linked to the answers of a task: by a `margin` of classes, as the `answer`, or its `log`."""
    space, answer = _linked(task, link)
    return Additive(space, tuple(base), tuple(terms), answer)


def mean_of(parts: Sequence[tuple[float, Additive | None]]) -> Additive | None:
    """Return the weighted sum of answers that are sums themselves; None where one is linked to its answer otherwise."""
    weighted = [part.scaled(weight) for weight, part in parts if part is not None]
    spaces = {part.space for part in weighted}
    if len(weighted) < len(parts) or len(spaces) > 1 or not spaces <= {NUMBER, PROBABILITY}:
        return None
    base = tuple(map(sum, zip(*(part.base for part in weighted), strict=True)))
    return Additive(spaces.pop(), base, tuple(term for part in weighted for term in part.terms), plain)


def plain(sums: np.ndarray) -> np.ndarray:
    """Return sums that are the answers themselves."""
    return sums[:, 0] if sums.shape[1] == 1 else sums


def _linked(task: Task, link: str) -> tuple[str, Answer]:
    from scipy.special import expit, softmax

    if link == "log":
        return LOGARITHM, lambda sums: np.exp(plain(sums))
    if task.kind == "regression":
        return NUMBER, plain
    if link == "answer":
        return PROBABILITY, plain
    if task.kind == "binary":
        return LOG_ODDS, lambda sums: expit(plain(sums))
    return MARGIN, lambda sums: softmax(sums, axis=1)
