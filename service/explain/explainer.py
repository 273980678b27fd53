"""The explainer of a model: what each feature adds to an answer, in the space in which the answer is a sum.

Where it is a sum of trees or of weighted columns the values are exact, of any other model they are sampled. Both are
Shapley values of one game: features that are unknown have the values of rows of training, the background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.explain import permutations
from service.explain.document import Carried, Linear, Sum, unpack
from service.explain.linear import WeightedColumns
from service.explain.trees import GrownTrees

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Run = Callable[[Matrix], Floats]  # the answers to encoded rows, [n_rows] or [n_rows, n_answers]


class Contribution(msgspec.Struct, frozen=True):
    """A feature, its value, and the number that it adds to a sum."""

    feature: str
    value: float | str | None
    contribution: float


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The features' contributions, the greatest first, which add up from `base` to `score`.

    `base` is the mean of the `background` rows. `space` says what the numbers are, and of many classes `of_class` whose
    they are. The `exact` ones are none of a sample, the others of so many `samples`.
    """

    method: Literal["exact", "permutations"]
    space: str
    base: float
    score: float
    contributions: list[Contribution]
    background: int
    samples: int | msgspec.UnsetType = msgspec.UNSET
    of_class: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="class")


class _Terms:
    """A sum over encoded rows, and those of its background."""

    def __init__(self, described: Sum, players: NDArray[np.int64], background: Matrix) -> None:
        self.space, self._base = described.space, described.base
        self._terms = [
            WeightedColumns(term, players) if isinstance(term, Linear) else GrownTrees(term, players)
            for term in described.terms
        ]
        self._background, self._players = background, int(players.max(initial=-1)) + 1
        self._means: dict[int, float] = {}

    def values(self, X: Matrix, output: int) -> Floats:
        """Return the sum of each row, [n_rows]."""
        sums: Floats = self._base[output] + np.sum([term.values(X, output) for term in self._terms], axis=0)
        return sums

    def mean(self, output: int) -> float:
        """Return the mean of the background."""
        if output not in self._means:
            self._means[output] = float(self.values(self._background, output).mean())
        return self._means[output]

    def shapley(self, x: Matrix, output: int, deadline: float | None) -> Floats:
        """Return what each player adds, [players]."""
        added = [term.shapley(x, self._background, output, self._players, deadline) for term in self._terms]
        summed: Floats = np.sum(added, axis=0)
        return summed


class Explainer:
    """Explains the answers to encoded rows; `run` answers such rows, `columns` says how many each feature becomes."""

    def __init__(self, carried: Carried, columns: Mapping[str, int], run: Run, space: str) -> None:
        self.features, self._run, self._space = list(columns), run, space
        self._players = np.repeat(np.arange(len(columns)), list(columns.values()))
        self._background = unpack(carried.background, np.float32).reshape(carried.rows, -1)
        self._sums = [
            None if described is None else _Terms(described, self._players, self._background)
            for described in carried.sums
        ]
        self._drawn = self._background[: permutations.rows_for(len(columns), carried.rows)]
        self._drawn_scores: Floats | None = None

    def explain(
        self,
        x: Matrix,
        values: Sequence[float | str | None],
        scores: Floats,
        place: int,
        deadline: float | None = None,
        name: str | None = None,
    ) -> Explanation:
        """Explain one of the answers `scores` [n_answers] to a row x [n_columns], whose features have these values.

        That is the one at `place`, to the class of that `name` if there are many. Raises OutOfTimeError once the
        deadline is over.
        """
        terms = self._sums[place if len(self._sums) > 1 else 0]
        of_class = msgspec.UNSET if name is None else name
        output = 0 if len(self._sums) > 1 else place
        # The sum of an infinite value may be infinite, where a probability is not.
        if terms is not None and isfinite(score := float(terms.values(x[None], output)[0])):
            base, added, rows = terms.mean(output), terms.shapley(x, output, deadline), len(self._background)
            return Explanation("exact", terms.space, base, score, self._named(values, added), rows, of_class=of_class)
        drawn, score, rows = self._scores_of_drawn()[:, place], float(scores[place]), len(self._drawn)

        def answer(X: Matrix) -> Floats:
            return self._run(X).reshape(len(X), -1)[:, place]

        added = permutations.shapley(answer, x, score, self._drawn, drawn, self._players, deadline)
        base, named = float(drawn.mean()), self._named(values, added)
        return Explanation("permutations", self._space, base, score, named, rows, 2 * rows, of_class)

    def _scores_of_drawn(self) -> Floats:
        if self._drawn_scores is None:
            self._drawn_scores = self._run(self._drawn).reshape(len(self._drawn), -1)
        return self._drawn_scores

    def _named(self, values: Sequence[float | str | None], added: Floats) -> list[Contribution]:
        order = np.argsort(-np.abs(added), kind="stable").tolist()
        return [Contribution(self.features[place], values[place], float(added[place])) for place in order]
