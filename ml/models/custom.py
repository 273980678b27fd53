"""Families of the user's own, named as `package.module:Class`."""

import inspect
from typing import Any

from ml.base.references import resolve
from ml.models.family import Family
from ml.tasks.metrics import DEFAULT_METRIC

ATTRIBUTES = ("name", "devices", "tasks")
METHODS = ("suggest", "defaults", "fit")
GIVEN = ("data", "params", "seed", "device", "threads")  # how `fit` is called: the first two by position


def custom_family(reference: str) -> Family:
    """An instance of the class that `reference` names.

    Raises ValueError that says what is wrong if there is no such class, or if it lacks what a Family must have.
    """
    found = resolve(reference)
    if not isinstance(found, type):
        module, _, name = reference.partition(":")
        raise ValueError(f"{reference!r}: the module {module!r} has no class {name!r}.")
    family = found()
    if problems := _problems(family):
        raise ValueError(f"{reference!r} is no model family: {'; '.join(problems)}. See ml.models.family.Family.")
    made: Family = family
    return made


def _problems(family: Any) -> list[str]:
    problems = [f"it lacks the attribute `{name}`" for name in ATTRIBUTES if not hasattr(family, name)]
    problems += [f"it lacks the method `{name}`" for name in METHODS if not callable(getattr(family, name, None))]
    if unknown := sorted(set(getattr(family, "tasks", ())) - DEFAULT_METRIC.keys()):
        problems.append(f"its tasks {unknown} are none of {sorted(DEFAULT_METRIC)}")
    if callable(fit := getattr(family, "fit", None)):
        try:
            inspect.signature(fit).bind(None, None, seed=0, device="cpu", threads=1)
        except TypeError as error:
            problems.append(f"its `fit` does not take {', '.join(GIVEN)}: {error}")
    return problems
