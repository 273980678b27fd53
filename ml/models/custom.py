"""Families of the user's own, named as `package.module:Class`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml.base.references import resolve
from ml.models.family import Family, FittedModel, Training
from ml.tasks.metrics import DEFAULT_METRIC

if TYPE_CHECKING:
    import optuna

    from ml.models.parameters import Parameters

ATTRIBUTES = ("name", "devices", "tasks")
METHODS = ("suggest", "defaults", "fit")
ARGUMENTS = ("data", "params", "seed", "device", "threads")  # how `fit` is called: the first two by position


class Adapted(Family):
    """A family by an object that has what a Family must have, and perhaps more, without being one."""

    def __init__(self, original: Any) -> None:
        self.original = original
        self.name, self.devices, self.tasks = original.name, original.devices, original.tasks
        self.requires, self.near_zero = getattr(original, "requires", ()), getattr(original, "near_zero", None)
        self.objectives = getattr(original, "objectives", Family.objectives)
        self.takes_monotone = getattr(original, "takes_monotone", False)
        self.takes_weights = getattr(original, "takes_weights", False)
        self.takes_texts = getattr(original, "takes_texts", True)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        parameters: dict[str, Any] = self.original.suggest(trial)
        return parameters

    def defaults(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self.original.defaults()
        return parameters

    def fit(
        self,
        data: Training,
        params: Mapping[str, Any],
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        **more: Any,
    ) -> FittedModel:
        model: FittedModel = self.original.fit(data, params, seed=seed, device=device, threads=threads, **more)
        return model

    def parameters(self) -> Parameters | None:
        return self.original.parameters() if hasattr(self.original, "parameters") else None

    def good(self) -> list[dict[str, Any]]:
        return list(self.original.good()) if hasattr(self.original, "good") else super().good()

    def prepare(self, data: Training) -> Any:
        return self.original.prepare(data) if hasattr(self.original, "prepare") else super().prepare(data)

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        if not self.settles:
            return super().settled(settings, model)
        parameters: dict[str, Any] = self.original.settled(settings, model)
        return parameters

    @property
    def settles(self) -> bool:
        return hasattr(self.original, "settled")

    def takes(self, keyword: str) -> bool:
        return keyword in inspect.signature(self.original.fit).parameters


def custom_family(reference: str) -> Family:
    """Return an instance of the class that `reference` names, as a Family.

    Raises ValueError that says what is wrong if there is no such class, or if it lacks what a Family must have.
    """
    chosen = resolve(reference)
    if not isinstance(chosen, type):
        module, _, name = reference.partition(":")
        raise ValueError(f"{reference!r}: the module {module!r} has no class {name!r}.")
    original = chosen()
    if problems := _problems(original):
        raise ValueError(f"{reference!r} is no model family: {'; '.join(problems)}. See ml.models.family.Family.")
    return original if isinstance(original, Family) else Adapted(original)


def _problems(family: Any) -> list[str]:
    """Return what an object lacks to be a family, in words."""
    problems = [f"it lacks the attribute `{name}`" for name in ATTRIBUTES if not hasattr(family, name)]
    problems += [f"it lacks the method `{name}`" for name in METHODS if not _has(family, name)]
    if unknown := sorted(set(getattr(family, "tasks", ())) - DEFAULT_METRIC.keys()):
        problems.append(f"its tasks {unknown} are none of {sorted(DEFAULT_METRIC)}")
    if callable(fit := getattr(family, "fit", None)):
        try:
            inspect.signature(fit).bind(None, None, seed=0, device="cpu", threads=1)
        except TypeError as error:
            problems.append(f"its `fit` does not take {', '.join(ARGUMENTS)}: {error}")
    return problems


def _has(family: Any, method: str) -> bool:
    """Return True if a class has a method of its own, and not only the one that Family demands."""
    inherited = getattr(type(family), method, None) is getattr(Family, method)
    return callable(getattr(family, method, None)) and not inherited
