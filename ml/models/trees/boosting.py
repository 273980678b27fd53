"""Boosting, which is stopped early by the validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.models.family import Family
from ml.tasks.task import Kind, Task

MAX_ROUNDS = 1000
PATIENCE = 30  # rounds without a better validation loss


class BoostingFamily(Family):
    """A boosting family, stopped early by the validation rows unless the parameter `rounds` says how many there are.

    Its models have `rounds`, the number of rounds that they were trained.
    """

    near_zero = True
    takes_weights = True
    takes_monotone = True
    # Leaves become quantiles of what is left when a tree is grown, and no library minds the constraints then: LightGBM
    # refuses, scikit-learn and XGBoost break them. CatBoost takes other steps instead, too small for most units.
    unlike_monotone = ("mae", "quantile")
    tasks = ("binary", "multiclass", "regression")

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        """Return the values of those options of the library which the graph does not repeat at all of their values."""
        return {}

    def require_settings(self, settings: Mapping[str, Any], task: Task) -> None:
        """Raise ValueError for a value of an option at which the booster answers in a way that the graph does not."""
        for option, values in self.allowed(task.kind).items():
            value = settings.get(option, values[0])
            if (value.partition(":")[0] if option == "loss_function" else value) not in values:
                raise ValueError(
                    f"The family {self.name!r} cannot be exported with {option}: {value!r} for the task {task.kind!r}. "
                    f"Allowed: {list(values)}."
                )

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return settings of as many rounds as the model has, and no early stopping."""
        return {**settings, "rounds": model.rounds}


def of_library(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the library itself knows: all but `rounds`."""
    return {name: value for name, value in params.items() if name != "rounds"}
