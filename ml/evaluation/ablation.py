"""Ablation: the features without which a score would be an ordinary one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.evaluation.explanations import Predict
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, score

MOST = 20  # features that are taken away, the most important ones
NAMED = 5  # that are named


class Ablated(BaseModel):
    """Features without which a metric of a model is no longer beyond a limit, and what it then is."""

    model_config = ConfigDict(frozen=True)

    features: tuple[str, ...]
    metric: str
    score: float


@dataclass(frozen=True)
class Ablation:
    """Rows X [n_rows, n_features] with labels y, their `features` in the order of columns, and a limit of a metric."""

    predict: Predict
    X: np.ndarray
    y: np.ndarray
    features: Sequence[str]
    metric: str
    limit: float
    seed: int
    counting: Counting = EQUALLY

    def makers(self, by_importance: Sequence[str]) -> tuple[Ablated, ...]:
        """Return each feature that alone makes the score, those with the greatest loss first.

        Where there is none, for others say the same, it is the one group of features that make it together. To take
        a feature away is to shuffle its values. Empty where not even without the most important ones it is ordinary.
        """
        candidates = by_importance[:MOST]
        alone = [without for name in candidates if not self._is_beyond(without := self._without([name]))]
        if alone:
            sign = Metric.named(self.metric).sign
            return tuple(sorted(alone, key=lambda ablated: sign * ablated.score)[:NAMED])
        for count in range(2, len(candidates) + 1):
            if not self._is_beyond(together := self._without(candidates[:count])):
                return (self._fewer(together),)
        return ()

    def _fewer(self, together: Ablated) -> Ablated:
        """Return as few features of a group as suffice."""
        for name in together.features:
            fewer = self._without([other for other in together.features if other != name])
            if fewer.features and not self._is_beyond(fewer):
                together = fewer
        return together

    def _without(self, names: Collection[str]) -> Ablated:
        X = self.X.copy()
        for place, name in enumerate(self.features):
            if name in names:
                X[:, place] = np.random.default_rng([self.seed, place]).permutation(X[:, place])
        value = score(self.metric, self.y, self.predict(X), self.counting)
        return Ablated(features=tuple(names), metric=self.metric, score=value)

    def _is_beyond(self, ablated: Ablated) -> bool:
        return Metric.named(self.metric).sign * (ablated.score - self.limit) > 0
