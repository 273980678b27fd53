"""Boosting, which is stopped early by the validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.models.family import Family

MAX_ROUNDS = 1000
PATIENCE = 30  # rounds without a better validation loss


class BoostingFamily(Family):
    """A boosting family, stopped early by the validation rows unless the parameter `rounds` says how many there are.

    Its models have `rounds`, the number of rounds that they were trained.
    """

    near_zero = True
    takes_weights = True
    takes_monotone = True
    tasks = ("binary", "multiclass", "regression")

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return settings of as many rounds as the model has, and no early stopping."""
        return {**settings, "rounds": model.rounds}


def of_library(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the library itself knows: all but `rounds`."""
    return {name: value for name, value in params.items() if name != "rounds"}
